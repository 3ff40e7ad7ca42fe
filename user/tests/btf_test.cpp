// SPDX-License-Identifier: GPL-2.0
// The reader of the kernel's type information: a recorded structure, each kind of type before it,
// and every cut of it.
#include "kernel/btf.hpp"

#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/btf.h>

namespace faultline {
namespace {

// struct collapse_control of Debian's 7.2.13 (x86-64) has these members; here with 64 nodes.
class Blob {
  public:
    std::uint32_t text(std::string_view words) {
        const auto offset = static_cast<std::uint32_t>(strings_.size());
        strings_ += std::string(words) + '\0';
        return offset;
    }
    void type(std::string_view name, unsigned kind, unsigned count, std::uint32_t size,
              const std::vector<std::uint32_t>& more, bool flag = false) {
        put({name.empty() ? 0 : text(name),
             kind << 24 | count | (flag ? std::uint32_t{1} << 31 : 0), size});
        put(more);
    }
    [[nodiscard]] std::string bytes() const {
        btf_header header{};
        header.magic = BTF_MAGIC;
        header.version = BTF_VERSION;
        header.hdr_len = sizeof(header);
        header.type_len = static_cast<std::uint32_t>(types_.size());
        header.str_off = header.type_len;
        header.str_len = static_cast<std::uint32_t>(strings_.size());
        return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + types_ +
               strings_;
    }

  private:
    void put(const std::vector<std::uint32_t>& words) {
        for (const std::uint32_t word : words)
            types_.append(reinterpret_cast<const char*>(&word), sizeof(word));
    }
    std::string types_;
    std::string strings_ = std::string(1, '\0');
};

std::string collapse_control() {
    Blob blob;
    blob.type("unsigned int", BTF_KIND_INT, 0, 4, {32});         // 1
    blob.type("long unsigned int", BTF_KIND_INT, 0, 8, {64});    // 2
    blob.type("", BTF_KIND_ARRAY, 0, 0, {1, 1, 64});             // 3
    blob.type("", BTF_KIND_ARRAY, 0, 0, {2, 1, 8});              // 4
    blob.type("", BTF_KIND_PTR, 0, 1, {});                       // 5
    blob.type("scan_result", BTF_KIND_ENUM, 2, 4, {0, 0, 0, 1}); // 6
    blob.type("", BTF_KIND_FUNC_PROTO, 1, 1, {0, 5});            // 7
    blob.type("enum64", 19, 1, 8, {0, 1, 0});                    // 8
    blob.type(".data", BTF_KIND_DATASEC, 1, 8, {1, 0, 8});       // 9
    const std::uint32_t is_khugepaged = blob.text("is_khugepaged");
    const std::uint32_t node_load = blob.text("node_load");
    const std::uint32_t present = blob.text("mthp_present_ptes");
    blob.type("collapse_control", BTF_KIND_STRUCT, 3, 336,
              {is_khugepaged, 1, 0, node_load, 3, 4 * 8, present, 4, 272 * 8});
    const std::uint32_t bits = blob.text("bits");
    blob.type("with_bits", BTF_KIND_STRUCT, 1, 8, {bits, 1, 3U << 24 | 32}, true);
    return blob.bytes();
}

TEST(Btf, ReadsAStructure) {
    const Result<BtfStruct> read = parse_btf_struct(collapse_control(), "collapse_control");
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(read->bytes, 336U);
    ASSERT_NE(read->member("node_load"), nullptr);
    EXPECT_EQ(read->member("node_load")->offset, 4U);
    EXPECT_EQ(read->member("node_load")->elements, 64U);
    EXPECT_EQ(read->member("mthp_present_ptes")->elements, 8U);
    EXPECT_EQ(read->member("is_khugepaged")->elements, 0U);
    EXPECT_EQ(read->member("progress"), nullptr);
}

TEST(Btf, ReadsTheOffsetOfABitField) {
    const Result<BtfStruct> read = parse_btf_struct(collapse_control(), "with_bits");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->member("bits")->offset, 4U);
}

TEST(Btf, HasNoStructureOfThatName) {
    EXPECT_EQ(parse_btf_struct(collapse_control(), "unsigned int").error().number, ENOENT);
    EXPECT_EQ(parse_btf_struct(collapse_control(), "").error().number, ENOENT);
}

TEST(Btf, RefusesEveryCut) {
    const std::string whole = collapse_control();
    for (std::size_t length = 0; length < whole.size(); ++length)
        EXPECT_FALSE(parse_btf_struct(whole.substr(0, length), "collapse_control")) << length;
}

TEST(Btf, RefusesWhatIsNoTypeInformation) {
    std::string other = collapse_control();
    std::swap(other[0], other[1]); // of a machine with the other byte order
    EXPECT_EQ(parse_btf_struct(other, "collapse_control").error().number, EPROTO);
    std::string unknown = collapse_control();
    unknown[sizeof(btf_header) + 7] = 31; // the kind of the first type
    EXPECT_EQ(parse_btf_struct(unknown, "collapse_control").error().number, EPROTO);
}

// Whatever a byte is: an answer or an error, and no read beyond the end.
TEST(Btf, SurvivesEveryByte) {
    const std::string whole = collapse_control();
    for (std::size_t i = 0; i < whole.size(); ++i)
        for (const int value : {0, 1, 127, 255}) {
            std::string broken = whole;
            broken[i] = static_cast<char>(value);
            const Result<BtfStruct> read = parse_btf_struct(broken, "collapse_control");
            EXPECT_TRUE(read || read.error().number != 0);
        }
}

} // namespace
} // namespace faultline
