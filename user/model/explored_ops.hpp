// SPDX-License-Identifier: GPL-2.0
// The operations of a design as steps of the explorer, and RCU as the explorer sees it: a callback
// may begin when every reader has ended that was inside when it was queued. Whether it begins then
// or later is one more choice.
#ifndef FAULTLINE_MODEL_EXPLORED_OPS_HPP
#define FAULTLINE_MODEL_EXPLORED_OPS_HPP

#include "model/explorer.hpp"
#include "model/ops.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace faultline::model {

class ExploredOps {
  public:
    class Counter {
      public:
        explicit Counter(int value = 0) : value_(value) {}

      private:
        friend class ExploredOps;
        int value_;
    };
    class Head {
        friend class ExploredOps;
        bool queued_ = false;
    };

    explicit ExploredOps(Explorer::Run& run) : run_(run) {}

    // The operations of a design.
    int add_return(Counter& counter, int delta);
    int fetch_or(Counter& counter, int bits);
    int exchange(Counter& counter, int value);
    bool compare_exchange(Counter& counter, int expected, int desired);
    int load(Counter& counter);
    void call_rcu(Head& head, Callback callback, void* design, int number);
    void free_page();
    void bad_page(const char* why) { run_.violation(std::string("bad page: ") + why); }

    // The operations of the other actors of a case.
    void unlink(int table);          // clears the PMD: from now on no walk finds the table
    void read(int table, int looks); // a whole RCU section that looks at a table
    [[nodiscard]] int freed() const { return freed_; }
    [[nodiscard]] std::uint64_t state() const;

  private:
    void at(const std::string& operation);
    int keep(Counter& counter, int value);

    Explorer::Run& run_;
    std::map<const Counter*, int> values_; // for telling states apart
    std::set<int> unlinked_;
    std::map<int, int> inside_; // readers in a section: number, table that they found or -1
    int readers_ = 0;
    int queued_ = 0;
    int freed_ = 0;
};

static_assert(PageOps<ExploredOps>);

} // namespace faultline::model

#endif // FAULTLINE_MODEL_EXPLORED_OPS_HPP
