// Which files a search leaves.

// Null selects all. Names and paths, not their indexes: those change with the next scan.
export const EVERYTHING = { text: "", machine: null, category: null, base: null, drive: null, folder: null, models: true };

const KEYS = ["machine", "category", "base", "drive"];

// The rows that `wanted` selects, in the order of the table.
export function chosen(files, wanted) {
  const { columns } = files;
  const keys = KEYS.filter((key) => wanted[key] !== null).map((key) => [columns[key], files.names[key].indexOf(wanted[key])]);
  const inside = wanted.folder === null ? null : below(files, wanted.folder);
  const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => wordTest(files, word));
  return files.where((row) => {
    if (wanted.models && !columns.model[row]) return false;
    if (keys.some(([column, index]) => column[row] !== index)) return false;
    if (inside && !inside[columns.folder[row]]) return false;
    return words.every((has) => has(row));
  });
}

// For each folder, whether it is at `path` or below it. Parents stand before their children.
function below(files, path) {
  const { parent } = files.folders;
  const inside = Uint8Array.from(files.paths(), (each) => each === path);
  for (let folder = 1; folder < inside.length; folder++) inside[folder] ||= inside[parent[folder]];
  return inside;
}

// Whether the path of a row has `word`. There are far fewer folders than files, so each is looked
// at once; only a word with a slash may begin in the one and end in the other.
function wordTest(files, word) {
  const { columns } = files;
  const { names, paths } = files.lowered();
  const has = Uint8Array.from(paths, (path) => path.includes(word));
  if (!word.includes("/")) return (row) => has[columns.folder[row]] === 1 || names[row].includes(word);
  return (row) => has[columns.folder[row]] === 1 || `${paths[columns.folder[row]]}/${names[row]}`.includes(word);
}
