/** The GPUs whose compilers are asked, each with Mesa's shim and driver, what makes it print its listing, and who reads that. */
import { read as adreno } from './listings/adreno.mjs';
import { read as amd } from './listings/amd.mjs';
import { read as apple } from './listings/apple.mjs';
import { read as nvidia } from './listings/nvidia.mjs';

const radv = (id) => ({ shim: 'amdgpu', icd: 'radeon', read: amd, env: { AMDGPU_GPU_ID: id, RADV_DEBUG: 'shaderstats,asm' } });

export const DEVICES = {
  navi31: { title: 'Radeon RX 7900 (RDNA 3)', packedDot: true, ...radv('navi31') },
  renoir: { title: 'Radeon of Ryzen 4000 (GCN 5)', packedDot: false, ...radv('renoir') },
  ampere: {
    title: 'GeForce RTX 30 (Ampere)',
    packedDot: true,
    shim: 'nouveau',
    icd: 'nouveau',
    read: nvidia,
    // Dawn's bounds checks make Mesa's compiler split each load of a vector, which NVIDIA's own does not.
    env: { NOUVEAU_CHIPSET: '0x174', NAK_DEBUG: 'print', NVK_I_WANT_A_BROKEN_VULKAN_DRIVER: '1', NO_ROBUSTNESS: '1' },
  },
  m1: { title: 'Apple M1', packedDot: false, shim: 'asahi', icd: 'asahi', read: apple, env: { AGX_MESA_DEBUG: 'shaderdb' } },
  adreno740: {
    title: 'Adreno 740',
    packedDot: false,
    shim: 'freedreno',
    icd: 'freedreno',
    read: adreno,
    env: { FD_GPU_ID: '740', IR3_SHADER_DEBUG: 'disasm' },
  },
};
