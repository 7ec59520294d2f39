// The space as trees: nodes are {name, bytes, files, children?(), filter?}. `filter` selects their
// files in the table. Without `children` there is nothing more to see.

import { pathsOf } from "./data.js";

const WHOLE = "everything";

// The tree of folders. A folder that holds nothing but one folder is shown as a part of its name.
export function folderTree(space, files) {
  const { parent, name, bytes, files: counts } = space.folders;
  const below = name.map(() => []);
  for (let folder = 1; folder < name.length; folder++) below[parent[folder]].push(folder);
  const own = new Array(name.length).fill(0);
  for (let folder = 0; folder < name.length; folder++) {
    own[folder] += counts[folder];
    if (folder) own[parent[folder]] -= counts[folder];
  }
  const hasMachines = space.machines?.length > 1;
  const paths = pathsOf(space.folders, hasMachines);
  const machineOf = (folder) => {
    let top = folder;
    while (parent[top]) top = parent[top];
    return name[top];
  };
  const filterOf = (folder) => ({
    ...(hasMachines && folder && { machine: machineOf(folder) }),
    ...(paths[folder] && { folder: paths[folder] }),
  });
  const node = (folder, above = "") => {
    const title = above + (folder ? name[folder] : WHOLE);
    if (folder && below[folder].length === 1 && !own[folder] && !(hasMachines && !parent[folder])) return node(below[folder][0], `${title}/`);
    const children = () => [
      ...below[folder].map((each) => node(each)),
      ...fileNodes(files, files?.byFolder.get(folder) ?? [], own[folder], bytes[folder] - sum(below[folder], bytes)),
    ];
    return { name: title, bytes: bytes[folder], files: counts[folder], children, filter: filterOf(folder) };
  };
  return node(0);
}

const sum = (indexes, values) => indexes.reduce((total, index) => total + values[index], 0);

// Single files where the table has them, else one node for all of them.
function fileNodes(files, rows, count, bytes) {
  if (!count) return [];
  const single = rows.filter((row) => !files.columns.alias[row]);
  const nodes = single.map((row) => ({
    name: files.columns.name[row],
    bytes: files.columns.size[row],
    files: 1,
  }));
  const left = count - single.length;
  if (left > 0)
    nodes.push({ name: "files", bytes: bytes - sum(single, files?.columns.size ?? []), files: left });
  return nodes;
}

const AT = { drive: 0, category: 1, base: 2 };

const NAMES = { drive: "drives", category: "categories", base: "bases" };

// The tree that groups by some of drive, category and base, in this order; then single files.
export function groupTree(space, files, by) {
  const group = (cells, depth, at, name) => ({
    name,
    bytes: cells.reduce((total, cell) => total + cell[3], 0),
    files: cells.reduce((total, cell) => total + cell[4], 0),
    filter: Object.fromEntries(Object.entries(at).map(([key, index]) => [key, space[NAMES[key]][index]])),
    children: () => {
      if (depth === by.length) {
        const keys = Object.keys(at);
        const test = (row) => keys.every((key) => files.columns[key][row] === at[key]);
        const self = group(cells, depth, at, name);
        return fileNodes(files, files ? files.where(test) : [], self.files, self.bytes);
      }
      const key = by[depth];
      const parts = new Map();
      for (const cell of cells) {
        const index = cell[AT[key]];
        if (!parts.has(index)) parts.set(index, []);
        parts.get(index).push(cell);
      }
      return [...parts].map(([index, part]) =>
        group(part, depth + 1, { ...at, [key]: index }, space[NAMES[key]][index]),
      );
    },
  });
  return group(space.cells, 0, {}, WHOLE);
}
