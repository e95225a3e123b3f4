import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => vi.unstubAllGlobals());

test('the entry answers messages, and reports a trap that no promise carries', async () => {
  class Scope extends EventTarget {
    posted: unknown[] = [];
    postMessage(message: unknown): void {
      this.posted.push(message);
    }
  }
  const scope = new Scope();
  vi.stubGlobal('self', scope);
  vi.stubGlobal('navigator', {});
  await import('./worker.ts');
  scope.dispatchEvent(new MessageEvent('message', { data: { id: 5, type: 'open', device: 'webgpu' } }));
  await vi.waitFor(() => expect(scope.posted).toHaveLength(2));
  expect(scope.posted[0]).toEqual({ type: 'hello' });
  expect(scope.posted[1]).toMatchObject({ id: 5, type: 'failed', error: { code: 'WEBGPU_UNAVAILABLE' } });
  scope.dispatchEvent(Object.assign(new Event('unhandledrejection'), { reason: new Error('a stray one') }));
  scope.dispatchEvent(Object.assign(new Event('error'), { error: new WebAssembly.RuntimeError('unreachable'), message: '' }));
  expect(scope.posted.slice(2)).toMatchObject([{ type: 'crashed', error: { code: 'INTERNAL', message: /unreachable/ } }]);
});
