// The table of files with what is asked of it, and the reading of what stands in a report.

export async function unpack(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// The table of files with what is asked of it: rows by folder, texts, paths and orders.
export class Files {
  constructor(table, space) {
    this.columns = table.columns;
    this.names = {
      category: space.categories,
      base: space.bases,
      drive: space.drives,
      kind: table.kinds,
      word: table.words,
      machine: space.machines ?? [],
    };
    this.count = this.columns.name.length;
    this.folders = space.folders;
    this.orders = new Map();
    this.byFolder = new Map();
    for (let row = 0; row < this.count; row++) {
      const folder = this.columns.folder[row];
      const rows = this.byFolder.get(folder);
      if (rows) rows.push(row);
      else this.byFolder.set(folder, [row]);
    }
  }

  // The text of a column that has indexes.
  text(column, row) {
    return this.names[column][this.columns[column][row]];
  }

  folderPath(row) {
    return this.paths()[this.columns.folder[row]];
  }

  // The name that ComfyUI's lists have for a file: so many folders before it belong to that. Empty
  // where they have none.
  calledInComfyUI(row) {
    const folders = this.columns.loader[row];
    if (folders < 0) return "";
    if (!folders) return this.columns.name[row];
    return [...this.folderPath(row).split("/").slice(-folders), this.columns.name[row]].join("/");
  }

  // The path of each folder, on its machine.
  paths() {
    this.pathTexts ??= pathsOf(this.folders, this.names.machine.length > 1);
    return this.pathTexts;
  }

  // Names of files and paths of folders as a search compares them.
  lowered() {
    this.lower ??= {
      names: this.columns.name.map((name) => name.toLowerCase()),
      paths: this.paths().map((path) => path.toLowerCase()),
    };
    return this.lower;
  }

  // The rows for which `test` holds.
  where(test) {
    const rows = [];
    for (let row = 0; row < this.count; row++) if (test(row)) rows.push(row);
    return rows;
  }

  // `rows` sorted by a column. The order of all rows is kept, so that a search sorts nothing anew.
  sorted(rows, column, down) {
    if (!this.orders.has(column.title)) {
      const values = Array.from({ length: this.count }, (_, row) => column.value(row));
      const order = Uint32Array.from(values.keys());
      order.sort((a, b) => (values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : a - b));
      this.orders.set(column.title, order);
    }
    const order = this.orders.get(column.title);
    const isChosen = new Uint8Array(this.count);
    for (const row of rows) isChosen[row] = 1;
    const result = order.filter((row) => isChosen[row]);
    return down ? result.reverse() : result;
  }
}

// The paths of folders. Parents stand before their children. `hasMachines` says that the folders on
// top are machines: these are no part of any path.
export function pathsOf({ name, parent }, hasMachines) {
  const paths = [""];
  for (let folder = 1; folder < name.length; folder++) {
    const above = paths[parent[folder]];
    const own = hasMachines && !parent[folder] ? "" : name[folder];
    paths.push(above ? `${above}/${own}` : own);
  }
  return paths;
}
