/** The same network in our engine and in onnxruntime-web: opens contestants and times their steps, in a page and in Node alike. */

/** What finding the fastest kernels may take. */
const TUNING_MS = 60_000;

/**
 * `loadBundle` is of bundle.mjs; `net`: address of what make_net.py wrote, ending in `/`; `read` gives the bytes of an address; `openOrt` the module of
 * onnxruntime-web, ready to use.
 */
export async function contest({ engine, loadBundle, net, read, openOrt }) {
  const inputs = safetensors((await read(`${net}step.safetensors`)).slice().buffer);
  /** A step of each contestant that is open, by its name. */
  const open = new Map();
  const makers = { ours, burn, onnxruntime };

  /** A run with as many images as the inputs have; `compression` is the share of tokens skipped, none without. */
  async function ours(compression) {
    const routing = compression == null ? {} : { compression };
    const model = await loadBundle(engine, compression == null ? `${net}bundle/` : `${net}routed/`, read);
    // Routed layers weigh by their scores, so only the dense network is what diffusers ran.
    const { output } = compression == null ? await model.probe('transformer', inputs, {}) : inputs;
    const kernels = await model.tune(TUNING_MS, 'half');
    const run = await model.generate({ steps: 100, ...conditions(), ...routing });
    await run.step(); // compiles what is around the network
    return { step: () => run.step(), output, kernels };
  }

  /** Guided, where there are two captions. */
  function conditions() {
    const { latents, context } = inputs;
    if (latents.shape[0] === 1) return { guidance: 1, latents, promptEmbeds: context };
    return { guidance: 4.5, latents: half(latents, 0), promptEmbeds: half(context, 1), negativePromptEmbeds: half(context, 0) };
  }

  /** The dense network in burn's own operations. */
  async function burn() {
    const plainly = async (run) => {
      engine.useReference(true);
      try {
        return await run();
      } finally {
        engine.useReference(false);
      }
    };
    const { step, output } = await plainly(() => ours());
    return { step: () => plainly(step), output };
  }

  async function onnxruntime() {
    const ort = await openOrt();
    const session = await ort.InferenceSession.create(await read(`${net}net.onnx`), { executionProviders: ['webgpu'], graphOptimizationLevel: 'all' });
    const feeds = Object.fromEntries(session.inputNames.map((name) => [name, new ort.Tensor('float32', inputs[name].data, inputs[name].shape)]));
    return { step: () => session.run(feeds), output: (await session.run(feeds)).output };
  }

  function error(found) {
    const { data } = inputs.output;
    return data.reduce((worst, value, i) => Math.max(worst, Math.abs(value - found[i])), 0) / data.reduce((m, value) => Math.max(m, Math.abs(value)), 0);
  }

  return {
    /** Loads the network and runs it once, which compiles: the error of the output, and what kernels were timed at. */
    open: async (name, who, option) => {
      const { step, output, kernels = [] } = await makers[who](option);
      open.set(name, step);
      return { error: error(output.data), kernels };
    },
    /** The time of another step. */
    step: async (name) => {
      const start = performance.now();
      await open.get(name)();
      return performance.now() - start;
    },
  };
}

function half({ shape, data }, i) {
  const count = data.length / 2;
  return { shape: [1, ...shape.slice(1)], data: data.slice(i * count, (i + 1) * count) };
}

function safetensors(buffer) {
  const start = 8 + new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(buffer.slice(8, start)));
  const tensors = Object.entries(header).filter(([name]) => name !== '__metadata__');
  return Object.fromEntries(tensors.map(([name, { shape, data_offsets: [from, to] }]) => [name, { shape, data: new Float32Array(buffer.slice(start + from, start + to)) }]));
}
