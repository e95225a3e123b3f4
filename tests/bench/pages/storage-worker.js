/** Files of the origin's private file system, written and read at once, as only a worker may. */
const open = async (name) => {
  const root = await navigator.storage.getDirectory();
  return await (await root.getFileHandle(name, { create: true })).createSyncAccessHandle();
};

/** One after the other: with several files open at once Chromium 156 hangs now and then. */
let turn = Promise.resolve();
onmessage = ({ data }) => {
  turn = turn.then(() => answer(data)).catch((error) => postMessage({ name: data.name, error: String(error) }));
};

async function answer({ name, bytes }) {
  const file = await open(name);
  if (bytes !== undefined) {
    file.truncate(0);
    file.write(bytes);
    file.flush();
    file.close();
    return postMessage({ name });
  }
  const read = new Uint8Array(file.getSize());
  file.read(read);
  file.close();
  return postMessage({ name, bytes: read }, [read.buffer]);
}
