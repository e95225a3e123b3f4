import { expect, test } from 'vitest';
import { INFO } from '../../lib/testing/fake.ts';
import { deviceFacts, memoryFacts, timeFacts } from './facts.ts';

const device = {
  backend: 'webgpu',
  adapter: 'SwiftShader',
  kind: 'software',
  shaderF16: false,
  subgroups: true,
  timestampQuery: false,
  packedDot: true,
  limits: {
    maxBufferSize: 256 * 2 ** 20,
    maxStorageBufferBindingSize: 128 * 2 ** 20,
    maxStorageBuffersPerShaderStage: 8,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
  },
} as const;

test('a device is told with its features and limits, and why it is not the faster one', () => {
  const facts = new Map(deviceFacts({ device }, undefined));
  expect(facts.get('Adapter')).toBe('SwiftShader (software)');
  expect(facts.get('16-bit floats in shaders')).toBe('no');
  expect(facts.get('Largest binding')).toBe('134.2 MB');
  const cpu = deviceFacts({ device: { ...device, backend: 'cpu' } }, 'there is no adapter');
  expect(cpu.slice(0, 2)).toEqual([
    ['Runs on', 'CPU (WebAssembly)'],
    ['Why', 'there is no adapter'],
  ]);
});

test('times add up by what they were for, memory names the GPU where it takes some', () => {
  expect(timeFacts({ encodeMs: 5, stepMs: [100, 300], decodeMs: 20, totalMs: 425 })).toEqual([
    ['Words', '5 ms'],
    ['2 steps', '400 ms (100 ms to 300 ms each)'],
    ['To pixels', '20 ms'],
    ['All', '425 ms'],
  ]);
  const needs = { ...INFO.needs, peakHeapBytes: 5e6 };
  expect(memoryFacts({ needs: { ...needs, peakGpuBytes: 0 } })).toEqual([['Memory, at the most', '5.0 MB']]);
  expect(memoryFacts({ needs: { ...needs, peakGpuBytes: 7e6 } }).at(-1)).toEqual(['GPU memory, at the most', '7.0 MB']);
});
