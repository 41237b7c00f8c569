#include "thread_pool.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace penstock {
namespace {

constexpr int kMaxThreads = 64;
// Long enough to bridge the Python between two calls of one step, short enough to be no burden.
constexpr auto kSpin = std::chrono::microseconds(50);

void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Wait until `ready()`, without sleeping, for at most kSpin; answer whether it came true.
template <class Ready>
bool spin_until(Ready ready) {
    const auto deadline = std::chrono::steady_clock::now() + kSpin;
    do {
        for (int i = 0; i < 16; ++i) {
            if (ready()) return true;
            pause_briefly();
        }
    } while (std::chrono::steady_clock::now() < deadline);
    return ready();
}

// One thread's share of a call's items. `ticket` holds the call's number in its upper half and how many
// items are left in the lower, so that a claim can never hit a later call by mistake.
struct alignas(64) Share {
    std::atomic<uint64_t> ticket{0};
    std::atomic<int64_t> end{0};
};

class Pool {
  public:
    explicit Pool(int num_threads) : num_threads_(num_threads) {
        for (int i = 1; i < num_threads; ++i) workers_.emplace_back([this, i] { work(i); });
    }

    ~Pool() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        call_published_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    void run_all(int64_t num_items, RunItem run, void* context) {
        publish(num_items, run, context);
        drain(0);
        wait_until_done(num_items);
    }

  private:
    void publish(int64_t num_items, RunItem run, void* context) {
        num_done_.store(0, std::memory_order_relaxed);
        num_items_.store(num_items, std::memory_order_relaxed);
        run_.store(run, std::memory_order_relaxed);
        context_.store(context, std::memory_order_relaxed);
        const uint64_t call = (call_.load(std::memory_order_relaxed) + 1) & 0xffffffffu;
        for (int i = 0; i < num_threads_; ++i) {
            const int64_t begin = num_items * i / num_threads_;
            const int64_t end = num_items * (i + 1) / num_threads_;
            shares_[i].end.store(end, std::memory_order_relaxed);
            shares_[i].ticket.store(call << 32 | uint64_t(end - begin), std::memory_order_release);
        }
        call_.store(call, std::memory_order_seq_cst);
        if (num_sleeping_.load(std::memory_order_seq_cst) > 0) {
            std::lock_guard<std::mutex> lock(mutex_);
            call_published_.notify_all();
        }
    }

    // Run items until none is left to claim, from this thread's own share first.
    void drain(int self) {
        int64_t finished = 0;
        for (int i = 0; i < num_threads_; ++i) {
            Share& share = shares_[(self + i) % num_threads_];
            while (claim_and_run(share)) ++finished;
        }
        if (finished > 0) report_done(finished);
    }

    bool claim_and_run(Share& share) {
        uint64_t ticket = share.ticket.load(std::memory_order_acquire);
        for (;;) {
            const auto left = int64_t(ticket & 0xffffffffu);
            if (left == 0) return false;
            const int64_t item = share.end.load(std::memory_order_relaxed) - left;
            RunItem run = run_.load(std::memory_order_relaxed);
            void* context = context_.load(std::memory_order_relaxed);
            // An unchanged ticket proves that the three loads above belong to its call.
            if (share.ticket.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                                   std::memory_order_acquire)) {
                run(context, item);
                return true;
            }
        }
    }

    void report_done(int64_t finished) {
        const int64_t total = num_items_.load(std::memory_order_relaxed);
        if (num_done_.fetch_add(finished, std::memory_order_seq_cst) + finished != total) return;
        if (caller_sleeps_.load(std::memory_order_seq_cst)) {
            std::lock_guard<std::mutex> lock(mutex_);
            call_done_.notify_all();
        }
    }

    void wait_until_done(int64_t num_items) {
        const auto done = [&] { return num_done_.load(std::memory_order_seq_cst) == num_items; };
        if (spin_until(done)) return;
        std::unique_lock<std::mutex> lock(mutex_);
        caller_sleeps_.store(true, std::memory_order_seq_cst);
        call_done_.wait(lock, done);
        caller_sleeps_.store(false, std::memory_order_relaxed);
    }

    void work(int self) {
        uint64_t seen = 0;
        while (wait_for_call(seen)) {
            seen = call_.load(std::memory_order_acquire);
            drain(self);
        }
    }

    // Answer true when there is a call other than `seen`, false when the pool stops.
    bool wait_for_call(uint64_t seen) {
        const auto published = [&] { return call_.load(std::memory_order_seq_cst) != seen; };
        if (spin_until(published)) return true;
        std::unique_lock<std::mutex> lock(mutex_);
        num_sleeping_.fetch_add(1, std::memory_order_seq_cst);
        call_published_.wait(lock, [&] { return stopping_ || published(); });
        num_sleeping_.fetch_sub(1, std::memory_order_relaxed);
        return !stopping_;
    }

    const int num_threads_;
    Share shares_[kMaxThreads];
    alignas(64) std::atomic<uint64_t> call_{0};
    std::atomic<int64_t> num_items_{0};
    std::atomic<RunItem> run_{nullptr};
    std::atomic<void*> context_{nullptr};
    alignas(64) std::atomic<int64_t> num_done_{0};
    std::atomic<bool> caller_sleeps_{false};
    std::atomic<int> num_sleeping_{0};
    std::mutex mutex_;
    std::condition_variable call_published_;
    std::condition_variable call_done_;
    bool stopping_ = false;
    std::vector<std::thread> workers_;
};

// Never destroyed: a thread may still be in a call while the process exits.
std::mutex* pool_mutex = new std::mutex;
Pool* pool = nullptr;

// A forked child has none of the threads; it starts with a pool of its own caller alone.
void forget_pool_in_child() {
    pool_mutex = new std::mutex;
    pool = nullptr;
}

// Memory that only grows, freed with its thread.
class Scratch {
  public:
    ~Scratch() { std::free(data_); }

    void* at_least(size_t bytes) {
        if (size_ < bytes) {
            std::free(data_);
            size_ = (bytes + 4095) / 4096 * 4096;
            data_ = std::aligned_alloc(64, size_);
            if (data_ == nullptr) std::abort();
        }
        return data_;
    }

  private:
    void* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace

void set_num_threads(int num_threads) {
    static const int registered = pthread_atfork(nullptr, nullptr, forget_pool_in_child);
    (void)registered;
    if (num_threads > kMaxThreads) num_threads = kMaxThreads;
    std::lock_guard<std::mutex> lock(*pool_mutex);
    delete pool;
    pool = num_threads > 1 ? new Pool(num_threads) : nullptr;
}

void parallel_for(int64_t num_items, RunItem run, void* context) {
    // A second thread that calls while the pool is busy does its own work: never wrong, never waiting.
    std::unique_lock<std::mutex> lock(*pool_mutex, std::try_to_lock);
    if (num_items > 1 && lock.owns_lock() && pool != nullptr) {
        pool->run_all(num_items, run, context);
        return;
    }
    if (lock.owns_lock()) lock.unlock();
    for (int64_t item = 0; item < num_items; ++item) run(context, item);
}

void* thread_scratch(size_t bytes) {
    thread_local Scratch scratch;
    return scratch.at_least(bytes);
}

void* call_scratch(size_t bytes) {
    thread_local Scratch scratch;
    return scratch.at_least(bytes);
}

}  // namespace penstock
