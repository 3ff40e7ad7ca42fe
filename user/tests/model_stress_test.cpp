// SPDX-License-Identifier: GPL-2.0
// The sound designs on real threads and liburcu: pages of tables that are deferred and freed from
// several threads while readers look at them inside RCU sections. Built three times: as it is, for
// AddressSanitizer (a freed page is really freed) and for ThreadSanitizer.
#include "engine/rng.hpp"
#include "model/designs.hpp"
#include "model/urcu_ops.hpp"

#include <array>
#include <atomic>
#include <barrier>
#include <gtest/gtest.h>
#include <memory>
#include <thread>
#include <vector>

#if defined(__SANITIZE_THREAD__)
// liburcu is not built for ThreadSanitizer: what it allocates and frees itself is its own matter.
extern "C" const char* __tsan_default_suppressions() { // NOLINT(bugprone-reserved-identifier)
    return "called_from_lib:liburcu-memb.so\n";
}
#endif

namespace faultline::model {
namespace {

constexpr int tables = 8;
constexpr std::size_t pages = 64; // of a round
constexpr unsigned rounds = 40;
constexpr unsigned writers = 3;
constexpr unsigned readers = 2;
constexpr int alive = 0x7ab1e;

template <class Design> class Page {
  public:
    Page()
        : content_(std::make_unique<Content>()),
          ops_([this] { free(); }, [this](const char*) { ++bad; }), design_(ops_, tables) {
        for (int table = 0; table < tables; ++table) {
            content_->words.at(static_cast<std::size_t>(table)) = alive;
            linked_.at(static_cast<std::size_t>(table)) = true;
        }
        seen_ = content_.get();
    }

    void defer(int table) {
        linked_.at(static_cast<std::size_t>(table)) = false;
        design_.defer(table);
    }
    // In an RCU section. False: the table was not what it must be.
    bool look(int table) const {
        if (!linked_.at(static_cast<std::size_t>(table)))
            return true;
        for (int again = 0; again < 20; ++again)
            if (seen_->words.at(static_cast<std::size_t>(table)) != alive)
                return false;
        return true;
    }

    std::atomic<int> freed = 0;
    std::atomic<int> bad = 0;

  private:
    struct Content {
        std::array<std::atomic<int>, tables> words{};
    };
    void free() {
        ++freed;
        for (std::atomic<int>& word : content_->words)
            word = 0;
#if defined(__SANITIZE_ADDRESS__)
        content_.reset();
#endif
    }

    std::unique_ptr<Content> content_;
    Content* seen_ = nullptr;
    std::array<std::atomic<bool>, tables> linked_{};
    UrcuOps ops_;
    Design design_;
};

// Returns how often a reader saw a table that was gone, and checks that each page was freed once.
template <class Design> int stress(unsigned how_many_rounds) {
    std::atomic<int> gone = 0;
    for (unsigned round = 0; round < how_many_rounds; ++round) {
        std::vector<std::unique_ptr<Page<Design>>> all(pages);
        for (auto& page : all)
            page = std::make_unique<Page<Design>>();
        std::atomic<unsigned> writing = writers;
        std::barrier start(writers + readers);
        std::vector<std::jthread> threads;
        for (unsigned writer = 0; writer < writers; ++writer)
            threads.emplace_back([&, writer] {
                urcu_memb_register_thread();
                start.arrive_and_wait();
                for (std::size_t page = 0; page < pages; ++page)
                    for (int table = 0; table < tables; ++table)
                        if ((static_cast<std::size_t>(table) + page) % writers == writer)
                            all[page]->defer(table);
                --writing;
                urcu_memb_unregister_thread();
            });
        for (unsigned reader = 0; reader < readers; ++reader)
            threads.emplace_back([&, reader] {
                urcu_memb_register_thread();
                Rng rng(round * readers + reader);
                start.arrive_and_wait();
                while (writing > 0) {
                    urcu_memb_read_lock();
                    const auto table = static_cast<int>(rng.below(tables));
                    gone += all[rng.below(pages)]->look(table) ? 0 : 1;
                    urcu_memb_read_unlock();
                }
                urcu_memb_unregister_thread();
            });
        threads.clear();
        // A callback may have queued its head again.
        for (int again = 0; again < tables; ++again)
            UrcuOps::barrier();
        for (const auto& page : all) {
            EXPECT_EQ(page->freed, 1);
            EXPECT_EQ(page->bad, 0);
        }
        if (testing::Test::HasFailure())
            break;
    }
    return gone;
}

template <class Design> class Stress : public testing::Test {};

using Sound = testing::Types<RaisedCount<UrcuOps>, PendingBits<UrcuOps>, HeadPerTable<UrcuOps>,
                             PageActive<UrcuOps>>;
TYPED_TEST_SUITE(Stress, Sound);

TYPED_TEST(Stress, FreedOnceAndNeverUnderAReader) { EXPECT_EQ(stress<TypeParam>(rounds), 0); }

#if !defined(__SANITIZE_ADDRESS__) // which would end the program there, rightly
TEST(StressControl, ATableThatIsGoneIsSeen) {
    int seen = 0;
    for (unsigned trial = 0; trial < 50 && seen == 0; ++trial)
        seen = stress<HeadPerTable<UrcuOps, Slip::count_at_once>>(rounds);
    EXPECT_GT(seen, 0);
}
#endif

} // namespace
} // namespace faultline::model
