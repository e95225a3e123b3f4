//! Blocks by AMX: eight registers of a tile each.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::tile::Tile;

/// Whether the processor, one with AVX-512, has AMX for bf16, and the system lets this process use it: it is asked here.
pub fn allowed() -> bool {
    const BF16: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;
    if __cpuid_count(7, 0).edx & (BF16 | TILES) != BF16 | TILES {
        return false;
    }
    granted()
}

#[cfg(target_os = "linux")]
fn granted() -> bool {
    /// `ARCH_REQ_XCOMP_PERM` of `XFEATURE_XTILEDATA`: `Documentation/arch/x86/xstate.rst`.
    const REQUEST: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    // SAFETY: the call asks for a permission and touches no memory.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn granted() -> bool {
    false
}

/// The tile registers of this thread, as 16 rows of 64 bytes each, until it is dropped.
pub struct Configured(PhantomData<*const ()>);

impl Configured {
    /// Only where [`allowed`].
    pub fn new() -> Self {
        #[repr(C, align(64))]
        struct Config([u8; 64]);
        let mut config = Config([0; 64]);
        config.0[0] = 1; // palette
        for tile in 0..8 {
            config.0[16 + 2 * tile] = 64; // bytes of a row
            config.0[48 + tile] = 16; // rows
        }
        // SAFETY: the processor has tiles, and the configuration is palette 1's.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &config, options(nostack, readonly, preserves_flags)) };
        Self(PhantomData)
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: nothing is in the tiles any more.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// As [`super::Engine::block`].
///
/// # Safety
/// Under [`Configured`]; panels are equally long and not empty, and `c` holds 32 rows of 32, `stride` apart.
pub unsafe fn block(a: [&[Tile]; 2], b: [&[Tile]; 2], c: &mut [MaybeUninit<f32>], stride: usize) {
    let c: *mut f32 = c.as_mut_ptr().cast();
    // SAFETY: the caller's; every tile is 16 rows of 64 bytes, and the four results are the quarters of `c`.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a0} + {row}*1]",
            "tileloadd tmm6, [{b0} + {row}*1]",
            "tileloadd tmm7, [{b1} + {row}*1]",
            "tileloadd tmm5, [{a1} + {row}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a0}, 1024",
            "add {a1}, 1024",
            "add {b0}, 1024",
            "add {b1}, 1024",
            "dec {left}",
            "jnz 2b",
            "tilestored [{c0} + {stride}*1], tmm0",
            "tilestored [{c0} + {stride}*1 + 64], tmm1",
            "tilestored [{c1} + {stride}*1], tmm2",
            "tilestored [{c1} + {stride}*1 + 64], tmm3",
            a0 = inout(reg) a[0].as_ptr() => _,
            a1 = inout(reg) a[1].as_ptr() => _,
            b0 = inout(reg) b[0].as_ptr() => _,
            b1 = inout(reg) b[1].as_ptr() => _,
            left = inout(reg) a[0].len() => _,
            row = in(reg) 64usize,
            c0 = in(reg) c,
            c1 = in(reg) c.add(16 * stride),
            stride = in(reg) 4 * stride,
            options(nostack),
        );
    }
}
