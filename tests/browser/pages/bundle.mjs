/** A bundle on its way into an engine without the package around it. */

/** The model of the bundle in `folder`, an address that ends in `/`; `read` gives the bytes of an address. */
export async function loadBundle(engine, folder, read = fetched) {
  const json = new TextDecoder().decode(await read(`${folder}diffcr.json`));
  const loader = engine.loader(json);
  for (const { path } of engine.manifest(json).files) loader.addFile(path, await read(folder + path));
  return loader.finish();
}

async function fetched(address) {
  return new Uint8Array(await (await fetch(address)).arrayBuffer());
}
