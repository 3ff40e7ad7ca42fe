// SPDX-License-Identifier: GPL-2.0
// The layout of a structure of the running kernel, by the type information that it carries
// (/sys/kernel/btf/vmlinux; Documentation/bpf/btf.rst).
#ifndef FAULTLINE_KERNEL_BTF_HPP
#define FAULTLINE_KERNEL_BTF_HPP

#include "kernel/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace faultline {

struct BtfMember {
    std::string name;
    std::size_t offset = 0;   // bytes
    std::size_t elements = 0; // of an array; 0: it is none
};

struct BtfStruct {
    std::size_t bytes = 0;
    std::vector<BtfMember> members;
    [[nodiscard]] const BtfMember* member(std::string_view name) const;
};

// EPROTO: the bytes are no type information of this machine; ENOENT: no such structure.
Result<BtfStruct> parse_btf_struct(std::string_view bytes, std::string_view name);
Result<BtfStruct> btf_struct(std::string_view name);

} // namespace faultline

#endif // FAULTLINE_KERNEL_BTF_HPP
