// SPDX-License-Identifier: GPL-2.0
// Page frames that are taken out of use, and the way back.
#include "operations/objects.hpp"

#include "kernel/folios.hpp"
#include "kernel/hvo.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr const char* soft_offline_file = "/sys/devices/system/memory/soft_offline_page";

struct FrameObject final : Object {
    FrameObject(HvoBlock opened, Fd opened_file, std::string address)
        : block(std::move(opened)), file(std::move(opened_file)), where(std::move(address)) {}
    HvoBlock block; // that has the page frame
    Fd file;
    std::string where;
};

Result<Value> make_frame(Doing& /*doing*/, const Given& given) {
    const Result<FolioReader> reader = FolioReader::open();
    if (!reader)
        return reader.error();
    const Result<std::uint64_t> pfn = reader->frame_of(range_of(given.at(0)).start);
    return pfn ? frame_at(*pfn) : pfn.error();
}

// It allocates nothing: a page fault of its own would wait for mmap_lock in its place.
Result<Value> do_soft_offline(Doing& /*doing*/, const Given& given) {
    const FrameObject& frame = given.object<FrameObject>(0);
    return Value::of_error(::write(frame.file.get(), frame.where.data(), frame.where.size()) ==
                                   static_cast<ssize_t>(frame.where.size())
                               ? 0
                               : errno);
}

Result<Value> do_unpoison(Doing& /*doing*/, const Given& given) {
    const Result<void> done = given.object<FrameObject>(0).block.send("unpoison");
    return Value::of_error(done ? 0 : done.error().number);
}

} // namespace

Result<Value> frame_at(std::uint64_t pfn) {
    Result<Fd> file = Fd::open(soft_offline_file, O_WRONLY);
    if (!file)
        return file.error();
    Result<HvoBlock> block = HvoBlock::open();
    if (!block)
        return block.error();
    if (Result<void> chosen = block->send(fmt::format("pfn {:x}", pfn)); !chosen)
        return chosen.error();
    const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    return Value::of_object(Type::frame,
                            std::make_shared<FrameObject>(std::move(*block), std::move(*file),
                                                          fmt::format("{:#x}", pfn * page_bytes)));
}

// And the way back, which the module knows where it has hvo/block.
std::optional<std::string> missing_soft_offline() {
    if (::access(soft_offline_file, W_OK) != 0)
        return Error::last("write", soft_offline_file).to_string();
    const Result<HvoBlock> block = HvoBlock::open();
    if (!block)
        return block.error().to_string();
    const Result<void> none = block->send("unpoison"); // EINVAL: of which block?
    if (!none && none.error().number == EOPNOTSUPP)
        return none.error().to_string();
    return std::nullopt;
}

void add_offline_operations(std::vector<Operation>& rows) {
    rows.insert(
        rows.end(),
        {{.name = "page_frame",
          .arguments = {{"memory", Type::memory}},
          .result = Type::frame,
          .about = "the page frame of memory[N], for soft_offline()",
          .needs = "soft-offline",
          .act = make_frame},
         {.name = "soft_offline",
          .arguments = {{"frame", Type::frame}},
          .result = Type::error,
          .about = "takes the page frame out of use, by its physical address: that moves the page",
          .errnos = "EBUSY EIO EOPNOTSUPP",
          .needs = "soft-offline",
          .act = do_soft_offline},
         {.name = "unpoison",
          .arguments = {{"frame", Type::frame}},
          .result = Type::error,
          .about = "takes the soft-offlined page frames of its block back into use",
          .needs = "soft-offline",
          .act = do_unpoison}});
}

} // namespace faultline
