// Which files were chosen or dropped: folders are walked, with the path inside the folder as the name.

const SYSTEM_FILES = new Set([".ds_store", "thumbs.db", "desktop.ini"]);
const AT_ONCE = 200;

const wanted = (name) => !SYSTEM_FILES.has(name.toLowerCase());

export function chosen(list) {
  return [...list]
    .filter((file) => wanted(file.name))
    .map((file) => ({ name: file.webkitRelativePath || file.name, file }));
}

// `found` is called, and waited for, with some files at a time, so that a folder of thousands shows up at once. What the browser cannot
// read is among them with a `problem` and no file: nothing is left out in silence.
export async function dropped(transfer, found) {
  // Entries must be taken before the first wait: the browser empties the list when the event is over.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) {
    await found(chosen(transfer.files));
    return;
  }
  let batch = [];
  for await (const one of walk(entries, "")) {
    batch.push(one);
    if (batch.length === AT_ONCE) {
      await found(batch);
      batch = [];
    }
  }
  if (batch.length) await found(batch);
}

async function* walk(entries, folder) {
  for (const entry of entries) {
    const name = folder + entry.name;
    if (entry.isFile) {
      if (wanted(entry.name)) yield await opened(entry, name);
      continue;
    }
    const reader = entry.createReader();
    for (;;) {
      let inner;
      try {
        // A browser hands out a hundred at a time, and none at the end.
        inner = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      } catch {
        yield { name: `${name}/`, file: null, problem: "This folder cannot be read. Check its rights, and drop it again." };
        break;
      }
      if (!inner.length) break;
      yield* walk(inner, `${name}/`);
    }
  }
}

async function opened(entry, name) {
  try {
    return { name, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) };
  } catch {
    return { name, file: null, problem: "This file cannot be read. Check its rights, and drop it again." };
  }
}
