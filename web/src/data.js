// What stands in the page: JSON, compressed and in base64.

export async function unpack(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// The table of files with what is asked of it: rows by folder, and paths.
export class Files {
  constructor(table, space) {
    this.columns = table.columns;
    this.names = {
      category: space.categories,
      base: space.bases,
      drive: space.drives,
      kind: table.kinds,
      word: table.words,
    };
    this.count = this.columns.name.length;
    this.folders = space.folders;
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
    return pathOf(this.folders, this.columns.folder[row]);
  }

  // The rows for which `test` holds.
  where(test) {
    const rows = [];
    for (let row = 0; row < this.count; row++) if (test(row)) rows.push(row);
    return rows;
  }
}

export function pathOf(folders, folder) {
  const names = [];
  for (; folder; folder = folders.parent[folder]) names.unshift(folders.name[folder]);
  return names.join("/");
}
