// Several machines as one: their pages and their tables get common lists of names, and with more
// than one machine each is a folder above all of its own. Pure functions.

import { wall } from "../format.js";

class Names {
  constructor() {
    this.texts = [];
    this.indexes = new Map();
  }

  index(text) {
    let index = this.indexes.get(text);
    if (index === undefined) {
      index = this.texts.push(text) - 1;
      this.indexes.set(text, index);
    }
    return index;
  }
}

class Folders {
  constructor() {
    this.columns = { parent: [0], name: [""], bytes: [0], files: [0] };
    this.indexes = new Map();
  }

  index(parent, name) {
    const key = `${parent}/${name}`;
    let index = this.indexes.get(key);
    if (index === undefined) {
      const { columns } = this;
      index = columns.name.push(name) - 1;
      columns.parent.push(parent);
      columns.bytes.push(0);
      columns.files.push(0);
      this.indexes.set(key, index);
    }
    return index;
  }

  // Where the folders of a machine are, with `top` above them. Parents stand before their children.
  place({ parent, name }, top) {
    const at = [top];
    for (let folder = 1; folder < name.length; folder++) at.push(this.index(at[parent[folder]], name[folder]));
    return at;
  }
}

// `machines` are {name, pages, table?}. `space` is as in the pages of one machine; `table` is null
// unless each of them has its table.
export function mergeFiles(machines) {
  const isOne = machines.length === 1;
  const folders = new Folders();
  const lists = { drives: new Names(), categories: new Names(), bases: new Names() };
  const driveName = (machine, name) => (isOne ? name : `${machine.name}: ${name}`);
  const cells = [];
  const places = machines.map((machine) => {
    const { space } = machine.pages;
    const top = isOne ? 0 : folders.index(0, machine.name);
    const at = folders.place(space.folders, top);
    for (const column of ["bytes", "files"]) {
      at.forEach((to, from) => (folders.columns[column][to] += space.folders[column][from]));
      if (!isOne) folders.columns[column][0] += space.folders[column][0];
    }
    for (const [drive, category, base, bytes, files] of space.cells) {
      const indexes = [
        lists.drives.index(driveName(machine, space.drives[drive])),
        lists.categories.index(space.categories[category]),
        lists.bases.index(space.bases[base]),
      ];
      cells.push([...indexes, bytes, files]);
    }
    return top;
  });
  const table = machines.every((machine) => machine.table) ? mergeTables(machines, places, folders, lists, driveName) : null;
  const space = {
    folders: folders.columns,
    cells: summed(cells),
    drives: lists.drives.texts,
    categories: lists.categories.texts,
    bases: lists.bases.texts,
    machines: machines.map((machine) => machine.name),
  };
  return { space, table };
}

// One cell for each drive, category and base model.
function summed(cells) {
  const sums = new Map();
  for (const cell of cells) {
    const key = cell.slice(0, 3).join();
    const sum = sums.get(key);
    if (!sum) sums.set(key, [...cell]);
    else (sum[3] += cell[3]), (sum[4] += cell[4]);
  }
  return [...sums.values()];
}

const AS_THEY_ARE = ["row", "name", "size", "hash", "loader", "alias", "model"];

const CHUNK = 10_000;

function append(target, values) {
  for (let start = 0; start < values.length; start += CHUNK) target.push(...values.slice(start, start + CHUNK));
}

function mergeTables(machines, places, folders, lists, driveName) {
  const kinds = new Names();
  const words = new Names();
  const columns = Object.fromEntries([...AS_THEY_ARE, "machine", "folder", "time", "drive", "category", "base", "kind", "word"].map((name) => [name, []]));
  machines.forEach((machine, number) => {
    const { table } = machine;
    const from = table.columns;
    const at = folders.place(table.folders, places[number]);
    const mapped = (names, texts, named = (text) => text) => {
      const indexes = texts.map((text) => names.index(named(text)));
      return (index) => indexes[index];
    };
    for (const name of AS_THEY_ARE) append(columns[name], from[name]);
    append(columns.machine, from.name.map(() => number));
    append(columns.folder, from.folder.map((folder) => at[folder]));
    append(columns.time, from.time.map(wall));
    append(columns.drive, from.drive.map(mapped(lists.drives, table.drives, (name) => driveName(machine, name))));
    append(columns.category, from.category.map(mapped(lists.categories, table.categories)));
    append(columns.base, from.base.map(mapped(lists.bases, table.bases)));
    append(columns.kind, from.kind.map(mapped(kinds, table.kinds)));
    append(columns.word, from.word.map(mapped(words, table.words)));
  });
  return { columns, kinds: kinds.texts, words: words.texts };
}

// Everything else, with the fields of the pages of one machine. Rows say of which machine they are.
export function mergePages(machines) {
  const all = machines.map((machine) => machine.pages);
  const isOne = machines.length === 1;
  const tag = ({ name }) => (row) => ({ ...row, machine: isOne ? "" : name });
  const tagged = (field) => machines.flatMap((machine) => machine.pages[field].map(tag(machine)));
  return {
    machines,
    isOne,
    totals: sums(all.map((pages) => pages.totals)),
    problems: mergeProblems(machines, tag),
    duplicates: {
      total: sums(all.map((pages) => pages.duplicates.total)),
      proven: sums(all.map((pages) => pages.duplicates.proven)),
      rows: machines.flatMap((machine) => machine.pages.duplicates.rows.map(tag(machine))),
    },
    changes: mergeChanges(machines),
    today: all.flatMap(({ status }) => Object.values(status?.today.kinds ?? {})).reduce((sum, number) => sum + number, 0),
    packs: tagged("packs"),
  };
}

function sums(records) {
  const result = {};
  for (const record of records) for (const [key, value] of Object.entries(record)) result[key] = (result[key] ?? 0) + value;
  return result;
}

function mergeProblems(machines, tag) {
  const groups = new Map();
  for (const machine of machines)
    for (const group of machine.pages.problems) {
      const rows = group.rows.map(tag(machine));
      const known = groups.get(group.name);
      if (!known) groups.set(group.name, { ...group, rows });
      else groups.set(group.name, { ...known, files: known.files + group.files, bytes: known.bytes + group.bytes, rows: [...known.rows, ...rows] });
    }
  return [...groups.values()];
}

// The days of all, newest first; in each the packs before everything else.
function mergeChanges(machines) {
  const days = new Map();
  for (const { name, pages } of machines)
    for (const day of pages.changes.days) {
      const known = days.get(day.date) ?? { date: day.date, counts: {}, entries: [] };
      const entries = day.entries.map(([kind, text]) => [kind, text, machines.length === 1 ? "" : name]);
      days.set(day.date, { date: day.date, counts: sums([known.counts, day.counts]), entries: [...known.entries, ...entries] });
    }
  const isOther = ([kind]) => kind !== "pack";
  const ordered = [...days.values()].sort((one, other) => (one.date < other.date ? 1 : -1));
  for (const day of ordered) day.entries.sort((one, other) => isOther(one) - isOther(other));
  return {
    days: ordered,
    before: machines.reduce((sum, machine) => sum + machine.pages.changes.before, 0),
    within: Math.max(...machines.map((machine) => machine.pages.changes.within)),
  };
}
