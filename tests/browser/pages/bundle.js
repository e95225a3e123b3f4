/** A bundle on its way into an engine without the package around it. */

/** The model of the bundle in `folder`, an address that ends in `/`. */
export async function loadBundle(engine, folder) {
  const json = await (await fetch(`${folder}diffcr.json`)).text();
  const loader = engine.loader(json);
  for (const { path } of engine.manifest(json).files) {
    loader.addFile(path, new Uint8Array(await (await fetch(folder + path)).arrayBuffer()));
  }
  return loader.finish();
}
