// SPDX-License-Identifier: GPL-2.0
// Which process uses which table of PMDs: hugetlb's rules for some processes that map one file, as
// long as what one PUD maps. Pure: what the kernel does is compared with it
// (scenarios/hugetlb_sharing.cpp).
#ifndef FAULTLINE_MODEL_PMD_SHARING_HPP
#define FAULTLINE_MODEL_PMD_SHARING_HPP

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace faultline::model {

struct SharingOp {
    enum class Kind {
        map,          // all of the file
        touch,        // a page, which makes it be there
        give_back,    // a page: MADV_DONTNEED
        protect_half, // the second half becomes read-only
        mark_half,    // it gets another flag, and no page table is touched: MADV_DONTFORK
        unmap_half,   // the second
        unmap,
        fork,  // a child that touches a page, and exits
        move,  // mremap() to another address
        watch, // registers all of it with a userfaultfd for write protection
    };
    Kind kind = Kind::map;
    unsigned process = 0;
    unsigned page = 0; // for touch, give_back, fork; in the first half

    friend bool operator==(const SharingOp&, const SharingOp&) = default;
};
inline constexpr unsigned sharing_op_kinds = 10;
std::string to_string(const SharingOp& op); // "p1 touch 3"
std::string to_string(const std::vector<SharingOp>& ops);

class PmdSharing {
  public:
    explicit PmdSharing(unsigned processes) : processes_(processes) {}

    // Whether this step is possible now. A move that would make mremap() wait for itself is not:
    // see docs/findings/hugetlb-mremap-deadlock.md.
    [[nodiscard]] bool can(const SharingOp& op) const;
    void apply(const SharingOp& op); // only what can() allows

    [[nodiscard]] bool mapped(unsigned process) const {
        return processes_[process].shape != Shape::none;
    }
    [[nodiscard]] bool moved(unsigned process) const { return processes_[process].moved; }
    // The process' table, by a number that it has alone with its sharers; nullopt: none.
    [[nodiscard]] std::optional<std::size_t> table(unsigned process) const {
        return processes_[process].table;
    }
    [[nodiscard]] unsigned sharers(std::size_t table) const; // all who have it
    // Does the process' table have the page? And can others reach it?
    [[nodiscard]] bool has(unsigned process, unsigned page) const;
    [[nodiscard]] bool shared(unsigned process, unsigned page) const;
    // How many there are of each kind: of the pages that the process' table has, those that others
    // can reach through it or through their own table, and those that none can.
    [[nodiscard]] std::size_t shared_pages(unsigned process) const;
    [[nodiscard]] std::size_t private_pages(unsigned process) const;

  private:
    enum class Shape { none, whole, split, half };
    struct Process {
        Shape shape = Shape::none;
        bool watched = false;
        bool moved = false;
        std::optional<std::size_t> table{};
        // Covers all that the PUD maps, with the same flags as the others that do.
        [[nodiscard]] bool can_share() const { return shape == Shape::whole && !watched; }
    };

    [[nodiscard]] bool shares(unsigned process) const;
    void unshare(unsigned process); // if it shares
    std::size_t table_for(const Process& process);
    [[nodiscard]] bool elsewhere(std::size_t table, unsigned page) const;

    std::vector<Process> processes_;
    std::vector<std::set<unsigned>> tables_; // the pages of each that ever was
};

} // namespace faultline::model

#endif // FAULTLINE_MODEL_PMD_SHARING_HPP
