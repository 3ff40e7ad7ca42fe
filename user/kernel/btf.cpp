// SPDX-License-Identifier: GPL-2.0
#include "kernel/btf.hpp"

#include "kernel/fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <linux/btf.h>
#include <optional>

namespace faultline {

namespace {

constexpr const char* path = "/sys/kernel/btf/vmlinux";
// From a later kernel than the headers may be.
constexpr unsigned kind_float = 16;
constexpr unsigned kind_decl_tag = 17;
constexpr unsigned kind_type_tag = 18;
constexpr unsigned kind_enum64 = 19;

template <typename T> std::optional<T> at(std::string_view bytes, std::size_t offset) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T))
        return std::nullopt;
    T read{};
    std::memcpy(&read, bytes.data() + offset, sizeof(T));
    return read;
}

// The bytes that follow a struct btf_type of this kind.
std::optional<std::size_t> more_bytes(unsigned kind, std::size_t count) {
    switch (kind) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case kind_decl_tag:
        return sizeof(std::uint32_t);
    case BTF_KIND_ARRAY:
        return sizeof(btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
        return count * sizeof(btf_member);
    case BTF_KIND_ENUM:
        return count * sizeof(btf_enum);
    case BTF_KIND_FUNC_PROTO:
        return count * sizeof(btf_param);
    case BTF_KIND_DATASEC:
    case kind_enum64:
        return count * 3 * sizeof(std::uint32_t);
    case BTF_KIND_PTR:
    case BTF_KIND_FWD:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC:
    case kind_float:
    case kind_type_tag:
        return 0;
    default:
        return std::nullopt;
    }
}

class Types {
  public:
    static Result<Types> parse(std::string_view bytes) {
        const std::optional<btf_header> header = at<btf_header>(bytes, 0);
        if (!header || header->magic != BTF_MAGIC || header->hdr_len > bytes.size())
            return Error::make(EPROTO, "no type information", path);
        const std::string_view rest = bytes.substr(header->hdr_len);
        const auto section = [&rest](std::uint32_t offset, std::uint32_t length) {
            return offset <= rest.size() && length <= rest.size() - offset
                       ? std::optional(rest.substr(offset, length))
                       : std::nullopt;
        };
        const auto types = section(header->type_off, header->type_len);
        const auto strings = section(header->str_off, header->str_len);
        if (!types || !strings)
            return Error::make(EPROTO, "a section beyond the end", path);
        Types made;
        made.types_ = *types;
        made.strings_ = *strings;
        return made.index() ? Result<Types>(std::move(made))
                            : Result<Types>(Error::make(EPROTO, "a type of no known kind", path));
    }

    [[nodiscard]] Result<BtfStruct> find(std::string_view name) const {
        for (const std::size_t offset : offsets_) {
            const std::optional<btf_type> type = at<btf_type>(types_, offset);
            if (!type || BTF_INFO_KIND(type->info) != BTF_KIND_STRUCT ||
                text(type->name_off) != name)
                continue;
            BtfStruct found{.bytes = type->size, .members = {}};
            // The offsets of a structure with bit fields have the field's width in front.
            const bool widths = BTF_INFO_KFLAG(type->info);
            for (std::size_t i = 0; i < BTF_INFO_VLEN(type->info); ++i) {
                const auto member =
                    at<btf_member>(types_, offset + sizeof(btf_type) + i * sizeof(btf_member));
                if (!member)
                    return Error::make(EPROTO, "a member beyond the end", path);
                const std::uint32_t bits =
                    widths ? BTF_MEMBER_BIT_OFFSET(member->offset) : member->offset;
                found.members.push_back({.name = std::string(text(member->name_off)),
                                         .offset = bits / 8,
                                         .elements = elements(member->type)});
            }
            return found;
        }
        return Error::make(ENOENT, "struct " + std::string(name), path);
    }

  private:
    // Where each type begins; type 0 is void.
    bool index() {
        for (std::size_t offset = 0; offset < types_.size();) {
            const std::optional<btf_type> type = at<btf_type>(types_, offset);
            if (!type)
                return false;
            const std::optional<std::size_t> more =
                more_bytes(BTF_INFO_KIND(type->info), BTF_INFO_VLEN(type->info));
            if (!more || *more > types_.size() - offset - sizeof(btf_type))
                return false;
            offsets_.push_back(offset);
            offset += sizeof(btf_type) + *more;
        }
        return true;
    }

    [[nodiscard]] std::string_view text(std::uint32_t offset) const {
        if (offset >= strings_.size())
            return {};
        const std::string_view from = strings_.substr(offset);
        return from.substr(0, from.find('\0'));
    }

    [[nodiscard]] std::size_t elements(std::uint32_t number) const {
        if (number == 0 || number > offsets_.size())
            return 0;
        const std::size_t offset = offsets_[number - 1];
        const std::optional<btf_type> type = at<btf_type>(types_, offset);
        if (!type || BTF_INFO_KIND(type->info) != BTF_KIND_ARRAY)
            return 0;
        const auto array = at<btf_array>(types_, offset + sizeof(btf_type));
        return array ? array->nelems : 0;
    }

    std::string_view types_;
    std::string_view strings_;
    std::vector<std::size_t> offsets_;
};

} // namespace

const BtfMember* BtfStruct::member(std::string_view name) const {
    const auto found = std::find_if(members.begin(), members.end(),
                                    [name](const BtfMember& one) { return one.name == name; });
    return found == members.end() ? nullptr : &*found;
}

Result<BtfStruct> parse_btf_struct(std::string_view bytes, std::string_view name) {
    const Result<Types> types = Types::parse(bytes);
    if (!types)
        return types.error();
    return types->find(name);
}

Result<BtfStruct> btf_struct(std::string_view name) {
    const Result<std::string> bytes = read_text(path);
    if (!bytes)
        return bytes.error();
    return parse_btf_struct(*bytes, name);
}

} // namespace faultline
