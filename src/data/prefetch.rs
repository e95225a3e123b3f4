//! A source on a thread of its own, a few batches ahead of the trainer.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::{Batch, Source};
use crate::error::{Error, Result};

/// Batches of one size from a background thread, in the source's order. Dropping it ends the thread.
#[derive(Debug)]
pub struct Prefetch {
    batches: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Starts the thread; at most `ahead` finished batches wait, and one is being made. To resume, `seek` the source first.
    pub fn new(mut source: Box<dyn Source>, count: usize, size: usize, ahead: usize) -> Self {
        let (sender, batches) = sync_channel(ahead);
        let thread = std::thread::spawn(move || {
            loop {
                let batch = source.batch(count, size);
                let failed = batch.is_err();
                // A closed channel means that nobody wants more.
                if sender.send(batch).is_err() || failed {
                    break;
                }
            }
        });
        Self { batches: Some(batches), thread: Some(thread) }
    }

    /// The next batch, waited for where it is not ready.
    ///
    /// # Errors
    /// The source's error; after one there are no more batches.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let received = self.batches.as_ref().and_then(|batches| batches.recv().ok());
        received.unwrap_or_else(|| Err(Error::internal("the data thread has ended")))
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // Closing the channel wakes a thread that waits to send.
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ScenesSource;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn batches_come_in_the_sources_order() {
        let mut plain = ScenesSource::new(1);
        let mut ahead = Prefetch::new(Box::new(ScenesSource::new(1)), 3, 16, 2);
        for _ in 0..10 {
            assert_eq!(ahead.next_batch().unwrap(), plain.batch(3, 16).unwrap());
        }
        let mut source = ScenesSource::new(1);
        source.seek(10);
        assert_eq!(Prefetch::new(Box::new(source), 3, 16, 2).next_batch().unwrap(), plain.batch(3, 16).unwrap());
    }

    /// Counts its batches, fails at the fifth, and tells when it is dropped.
    struct Counted(Arc<AtomicU64>, #[expect(dead_code)] Arc<()>);

    impl Source for Counted {
        fn batch(&mut self, _: usize, size: usize) -> Result<Batch> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                4 => Err(Error::input("five.png", "broken")),
                _ => Ok(Batch::pictures(size)),
            }
        }

        fn seek(&mut self, _: u64) {}
    }

    #[test]
    fn the_queue_is_bounded_and_a_drop_ends_the_thread() {
        let (count, alive) = (Arc::new(AtomicU64::new(0)), Arc::new(()));
        let mut ahead = Prefetch::new(Box::new(Counted(count.clone(), alive.clone())), 1, 8, 2);
        ahead.next_batch().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(count.load(Ordering::SeqCst) <= 4, "one taken, two waiting, one being made");
        drop(ahead);
        assert_eq!(Arc::strong_count(&alive), 1, "the thread still holds the source");
    }

    #[test]
    fn an_error_arrives_in_its_place_and_ends_the_series() {
        let mut ahead = Prefetch::new(Box::new(Counted(Arc::default(), Arc::default())), 1, 8, 2);
        for _ in 0..4 {
            ahead.next_batch().unwrap();
        }
        assert!(ahead.next_batch().unwrap_err().to_string().contains("five.png"));
        assert_eq!(ahead.next_batch().unwrap_err().code(), "INTERNAL");
    }
}
