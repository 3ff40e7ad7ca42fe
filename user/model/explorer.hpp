// SPDX-License-Identifier: GPL-2.0
// Runs a small concurrent program in every interleaving of its steps. The program is ordinary code:
// each fiber calls step() before every operation that others can see, and the explorer decides who
// goes on. It is run anew from its beginning for each interleaving (stateless exploration), so the
// explorer tries the code itself, not a model of it.
//
// One thread. Fibers are ucontext(3) contexts with stacks of their own.
#ifndef FAULTLINE_MODEL_EXPLORER_HPP
#define FAULTLINE_MODEL_EXPLORER_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <ucontext.h>

namespace faultline::model {

struct Counterexample {
    std::string violation;
    std::vector<std::string> steps; // "fiber: operation", in order; the last one is the bad one
};

struct Exploration {
    std::uint64_t interleavings = 0;
    std::uint64_t states = 0; // distinct ones, after any step
    std::uint64_t violations = 0;
    bool complete = true; // every interleaving was run; false: the bound was hit
    std::size_t most_grace_periods = 0;
    std::optional<Counterexample> shortest;
};

class Explorer {
  public:
    // One interleaving: what the setup function fills in, and what the fibers act on.
    class Run {
      public:
        Run(const Run&) = delete;
        Run& operator=(const Run&) = delete;
        ~Run();

        // A flow of control. enabled: may it take its next step now? Empty: always.
        void add_fiber(std::string name, std::function<void()> body,
                       std::function<bool()> enabled = {});
        // Called by fibers: give way to any other, then be at `operation`.
        void step(const std::string& operation);
        // Called by fibers: what the last step saw. Tells states apart.
        void saw(std::uint64_t value);
        void violation(std::string what);
        void count_grace_period() { ++grace_periods_; }

        // All that the fibers share, as a number, for telling states apart.
        std::function<std::uint64_t()> shared_state;
        // After the last step: the error, or "".
        std::function<std::string()> at_end;
        // Keeps what the fibers act on alive.
        std::shared_ptr<void> owner;

      private:
        friend class Explorer;
        struct Fiber;
        Run() = default;
        static void enter(unsigned high, unsigned low);
        void resume(Fiber& fiber);
        void begin_fibers();
        [[nodiscard]] std::vector<std::size_t> choices() const;
        [[nodiscard]] std::uint64_t state() const;

        std::vector<std::unique_ptr<Fiber>> fibers_;
        Fiber* current_ = nullptr;
        ucontext_t scheduler_{};
        std::vector<std::string> trace_;
        std::string violation_;
        std::size_t grace_periods_ = 0;
    };

    using Setup = std::function<void(Run&)>;

    // bound: interleavings to run at most.
    static Exploration explore(const Setup& setup, std::uint64_t bound);

  private:
    struct Choice {
        std::size_t taken;
        std::size_t of;
    };
    // True until every interleaving was run.
    static bool next(std::vector<Choice>& path);
    static void run_once(Run& run, std::vector<Choice>& path,
                         std::unordered_set<std::uint64_t>& states);
};

} // namespace faultline::model

#endif // FAULTLINE_MODEL_EXPLORER_HPP
