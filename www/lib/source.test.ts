import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { load } from './client.ts';
import { openSource, type ModelSource } from './source.ts';
import { resolveBundle } from './bundle.ts';
import { fakeBundle, fakeWasm, fakeWorker } from './testing/fake.ts';

const base = 'https://host/m/';
const { contents } = await fakeBundle(base, [300, 20]);
const files = [...contents].map(([url, bytes]) => ({ path: url.slice(base.length), bytes }));

/** A zip of the files in a folder, the first stored, the others deflated. */
function zip(folder: string): Blob {
  const [parts, directory]: [Uint8Array<ArrayBuffer>[], Uint8Array<ArrayBuffer>[]] = [[], []];
  let at = 0;
  files.forEach(({ path, bytes }, i) => {
    const name = new TextEncoder().encode(folder + path);
    const data = i === 0 ? bytes : new Uint8Array(deflateRawSync(bytes));
    const record = (size: number, fill: (view: DataView) => void): Uint8Array<ArrayBuffer> => {
      const out = new Uint8Array(size + name.length);
      fill(new DataView(out.buffer));
      out.set(name, size);
      return out;
    };
    const local = record(30, (view) => {
      view.setUint32(0, 0x04034b50, true);
      view.setUint16(26, name.length, true);
    });
    const offset = at;
    directory.push(
      record(46, (view) => {
        view.setUint32(0, 0x02014b50, true);
        view.setUint16(10, i === 0 ? 0 : 8, true);
        view.setUint32(20, data.length, true);
        view.setUint16(28, name.length, true);
        view.setUint32(42, offset, true);
      }),
    );
    parts.push(local, data);
    at += local.length + data.length;
  });
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(10, files.length, true);
  end.setUint32(
    12,
    directory.reduce((sum, { length }) => sum + length, 0),
    true,
  );
  end.setUint32(16, at, true);
  return new Blob([...parts, ...directory, new Uint8Array(end.buffer), new Uint8Array(0)]);
}

const handle = {
  kind: 'directory' as const,
  name: 'm',
  getDirectoryHandle: () => Promise.reject(new DOMException('none', 'NotFoundError')),
  getFileHandle: async (name: string) => {
    const found = files.find(({ path }) => path === name);
    if (found === undefined) throw new DOMException('none', 'NotFoundError');
    return { getFile: async () => new Blob([found.bytes]) };
  },
};

test.each<[string, ModelSource]>([
  ['a zip', zip('')],
  ['a zip of a folder', zip('models/m/')],
  ['files', files.map(({ path, bytes }) => Object.assign(new File([bytes], path), { webkitRelativePath: `m/${path}` }))],
  ['a directory handle', handle],
])('%s is a model', async (_, source) => {
  const wasm = fakeWasm();
  const worker = fakeWorker(wasm);
  const pipe = await load(source, {}, () => worker.connect);
  expect(pipe.info.name).toBe('fake');
  expect([...wasm.added.values()]).toEqual(expect.arrayContaining([300, 20]));
});

test('files under addresses of their own are a model', async () => {
  const hashed = (path: string): string => `https://cdn/${path.replace('.', '-8f2c.')}`;
  const wasm = fakeWasm();
  const addresses = Object.fromEntries(files.map(({ path }) => [path, hashed(path)])) as ModelSource;
  const fetch = (url: string): Promise<Response> => {
    const found = files.find(({ path }) => hashed(path) === url);
    return Promise.resolve(found === undefined ? new Response('', { status: 404 }) : new Response(found.bytes));
  };
  const pipe = await load(addresses, { fetch }, () => fakeWorker(wasm).connect);
  expect(pipe.info.name).toBe('fake');
  expect([...wasm.added.values()]).toEqual(expect.arrayContaining([300, 20]));
});

test.each([
  ['no zip', new Blob(['text'])],
  ['no manifest', [new File(['x'], 'x.safetensors')]],
  ['no files', [7]],
  ['nothing', undefined],
  ['null', null],
  ['a number', 7],
  ['an empty address', ''],
  ['no repository', 'hf:name'],
])('%s is refused as url', async (_, source) => {
  await expect(load(source as ModelSource, {}, () => fakeWorker(fakeWasm()).connect)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    details: { field: 'url' },
  });
});

test('a repository of the hub is plain addresses', () => {
  expect(resolveBundle('hf:owner/some.model').file('a')).toBe('https://huggingface.co/owner/some.model/resolve/main/a');
  expect(resolveBundle('hf:owner/name@v1.2/web/q4').manifest).toBe('https://huggingface.co/owner/name/resolve/v1.2/web/q4/diffcr.json');
});

test('an address is left to the network', async () => {
  const { urls, fetch } = await openSource('https://host/m/');
  expect([urls.manifest, fetch]).toEqual(['https://host/m/diffcr.json', undefined]);
});
