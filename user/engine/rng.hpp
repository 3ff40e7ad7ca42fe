// SPDX-License-Identifier: GPL-2.0
// A small seeded generator (splitmix64): the same seed gives the same numbers on every machine,
// which the generators and distributions of <random> do not promise.
#ifndef FAULTLINE_ENGINE_RNG_HPP
#define FAULTLINE_ENGINE_RNG_HPP

#include <cstdint>

namespace faultline {

constexpr std::uint64_t mix(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15ULL;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

class Rng {
  public:
    explicit constexpr Rng(std::uint64_t seed = 0) : state_(seed) {}

    constexpr std::uint64_t next() {
        const std::uint64_t value = mix(state_);
        state_ += 0x9e3779b97f4a7c15ULL;
        return value;
    }

    // 0 .. bound - 1; 0 if bound is 0. The bias is below 2^-32 for the small bounds used here.
    constexpr std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }

    constexpr bool chance(std::uint64_t one_in) { return below(one_in) == 0; }

  private:
    std::uint64_t state_;
};

} // namespace faultline

#endif // FAULTLINE_ENGINE_RNG_HPP
