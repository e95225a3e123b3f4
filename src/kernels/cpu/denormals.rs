//! Denormal numbers as zeros: a trained model's softmax leaves many, and a matrix product over them runs at half its speed.

/// Makes this thread treat denormal inputs and results as zeros, where the processor can be told so.
pub fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        /// Flush-to-zero and denormals-are-zero.
        const ZERO_DENORMALS: u32 = 0x8040;
        let mut control = 0u32;
        // SAFETY: every x86-64 has SSE; the two bits change how denormals are rounded and nothing else.
        unsafe {
            core::arch::asm!("stmxcsr [{}]", in(reg) &mut control, options(nostack, preserves_flags));
            control |= ZERO_DENORMALS;
            core::arch::asm!("ldmxcsr [{}]", in(reg) &control, options(nostack, readonly, preserves_flags));
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_denormal_becomes_zero_on_the_thread_that_asked() {
        let half = || std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5);
        assert_ne!(half(), 0.0);
        let flushed = std::thread::spawn(move || {
            flush_denormals();
            half()
        });
        assert_eq!(flushed.join().unwrap(), 0.0);
        assert_ne!(half(), 0.0);
    }
}
