/** `diffcr-web/react`: a model as a hook, loaded while a component is there and disposed of with it. */

import { loadModel, type DiffCRError, type LoadOptions, type ModelSource, type Pipeline, type Progress } from 'diffcr-web';
import { useEffect, useRef, useState } from 'react';

/** How far a model is. */
export interface ModelState {
  /** Present once the model is ready. */
  readonly pipe?: Pipeline;
  readonly progress?: Progress;
  readonly error?: DiffCRError;
}

/**
 * The model at `url`, `undefined` for none yet. Another `url` is another model; `options` are those of the first render with it. A component
 * that goes away, or that StrictMode mounts twice, leaves nothing running.
 */
export function useModel(url: ModelSource | undefined, options?: Omit<LoadOptions, 'signal' | 'onProgress'>): ModelState {
  const [state, setState] = useState<ModelState>({});
  const given = useRef(options);
  given.current = options;
  useEffect(() => {
    if (url === undefined) return undefined;
    const stop = new AbortController();
    const { signal } = stop;
    const tell = (state: ModelState): void => {
      if (!signal.aborted) setState(state);
    };
    tell({});
    const loading = loadModel(url, { ...given.current, signal, onProgress: (progress) => tell({ progress }) });
    loading.then(
      (pipe) => tell({ pipe }),
      (error: unknown) => tell({ error: error as DiffCRError }),
    );
    return () => {
      stop.abort();
      // One that was ready already.
      loading.then(
        (pipe) => pipe.dispose(),
        () => {},
      );
    };
  }, [url]);
  return state;
}
