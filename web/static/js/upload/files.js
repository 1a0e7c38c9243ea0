// Which files were chosen or dropped: folders are walked, with the path inside the folder as the name.

const SYSTEM_FILES = new Set([".ds_store", "thumbs.db", "desktop.ini"]);

const wanted = (name) => !SYSTEM_FILES.has(name.toLowerCase());

export function chosen(list) {
  return [...list]
    .filter((file) => wanted(file.name))
    .map((file) => ({ name: file.webkitRelativePath || file.name, file }));
}

// `found` is called with a few files at a time, so that a folder of thousands shows up at once.
export async function dropped(transfer, found) {
  // Entries must be taken before the first wait: the browser empties the list when the event is over.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) {
    found(chosen(transfer.files));
    return;
  }
  for (const entry of entries) await walk(entry, "", found);
}

async function walk(entry, folder, found) {
  const name = folder + entry.name;
  if (entry.isFile) {
    if (!wanted(entry.name)) return;
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    if (file) found([{ name, file }]);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
    if (!entries.length) return;
    for (const inner of entries) await walk(inner, `${name}/`, found);
  }
}
