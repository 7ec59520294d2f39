// Which files a search leaves.

// Empty texts and null select all.
export const EVERYTHING = { text: "", machine: "", category: "", base: "", drive: "", word: "", folder: null, path: "", models: true };

const KEYS = ["machine", "category", "base", "drive", "word"];

// The rows that `wanted` selects, in the order of the table.
export function chosen(files, wanted) {
  const { columns } = files;
  const keys = KEYS.filter((key) => wanted[key] !== "").map((key) => [columns[key], Number(wanted[key])]);
  const inside = wanted.folder === null ? null : below(files.folders, wanted.folder);
  const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => wordTest(files, word));
  return files.where((row) => {
    if (wanted.models && !columns.model[row]) return false;
    if (keys.some(([column, index]) => column[row] !== index)) return false;
    if (inside && !inside[columns.folder[row]]) return false;
    return words.every((has) => has(row));
  });
}

// For each folder, whether it is `top` or below it. Parents stand before their children.
function below(folders, top) {
  const inside = new Uint8Array(folders.name.length);
  inside[top] = 1;
  for (let folder = top + 1; folder < inside.length; folder++) inside[folder] = inside[folders.parent[folder]];
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
