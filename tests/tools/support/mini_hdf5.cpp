#include "tests/tools/support/mini_hdf5.hpp"

#include <functional>

#include "kernels/error.hpp"

namespace ptrain::test {
namespace {

constexpr uint64_t kNone = ~uint64_t(0);
enum Message : uint64_t { kDataspace = 1, kDatatype = 3, kLayout = 8, kContinuation = 16, kSymbolTable = 17 };

}  // namespace

uint64_t MiniHdf5::number(uint64_t at, int bytes) const {
  REQUIRE_THAT(at <= file_.size() && uint64_t(bytes) <= file_.size() - at, "mini reader: an address beyond the end");
  uint64_t v = 0;
  for (int i = 0; i < bytes; ++i) v |= uint64_t(uint8_t(file_[at + uint64_t(i)])) << (8 * i);
  return v;
}

MiniHdf5::MiniHdf5(std::span<const char> file) : file_(file) {
  REQUIRE_THAT(file.size() > 96 && std::string(file.data(), 8) == "\x89HDF\r\n\x1a\n", "mini reader: no signature");
  REQUIRE_THAT(number(8, 1) == 0 && number(13, 1) == 8 && number(14, 1) == 8 && number(24, 8) == 0, "mini reader: another superblock");
  root_ = number(64, 8);
}

template <class See>
void MiniHdf5::messages(uint64_t header, See&& see) const {
  REQUIRE_THAT(number(header, 1) == 1, "mini reader: another object header");
  uint64_t left = number(header + 2, 2);
  std::vector<std::pair<uint64_t, uint64_t>> blocks = {{header + 16, number(header + 8, 4)}};
  for (size_t b = 0; b < blocks.size() && left > 0; ++b) {
    uint64_t at = blocks[b].first;
    const uint64_t end = at + blocks[b].second;
    for (; at + 8 <= end && left > 0; --left) {
      const uint64_t type = number(at, 2), size = number(at + 2, 2);
      if (type == kContinuation) blocks.emplace_back(number(at + 8, 8), number(at + 16, 8));
      else see(type, at + 8, size);
      at += 8 + size;
    }
    REQUIRE_THAT(blocks.size() < 100, "mini reader: too many continuations");
  }
}

std::vector<std::pair<std::string, uint64_t>> MiniHdf5::members(uint64_t header) const {
  uint64_t tree = kNone, heap = kNone;
  messages(header, [&](uint64_t type, uint64_t at, uint64_t) {
    if (type == kSymbolTable) tree = number(at, 8), heap = number(at + 8, 8);
  });
  REQUIRE_THAT(tree != kNone, "mini reader: not a group");
  const uint64_t names = number(heap + 24, 8);
  std::vector<std::pair<std::string, uint64_t>> list;
  const std::function<void(uint64_t, int)> walk = [&](uint64_t node, int depth) {
    REQUIRE_THAT(depth < 8 && number(node, 4) == 0x45455254, "mini reader: no tree");  // "TREE"
    const uint64_t level = number(node + 5, 1), used = number(node + 6, 2);
    for (uint64_t i = 0; i < used; ++i) {
      const uint64_t child = number(node + 32 + 16 * i, 8);
      if (level > 0) {
        walk(child, depth + 1);
        continue;
      }
      REQUIRE_THAT(number(child, 4) == 0x444f4e53, "mini reader: no symbols");  // "SNOD"
      const uint64_t symbols = number(child + 6, 2);
      for (uint64_t s = 0; s < symbols; ++s) {
        const uint64_t entry = child + 8 + 40 * s;
        std::string name;
        for (uint64_t at = names + number(entry, 8); number(at, 1) != 0 && name.size() < 1000; ++at) name += char(number(at, 1));
        list.emplace_back(name, number(entry + 8, 8));
      }
    }
  };
  walk(tree, 0);
  return list;
}

MiniHdf5::Array MiniHdf5::array(uint64_t header) const {
  Array a;
  uint64_t address = kNone, size = 0, count = 1;
  bool is_float = false, has_shape = false, has_type = false;
  messages(header, [&](uint64_t type, uint64_t at, uint64_t) {
    if (type == kDataspace && !has_shape) {  // of each kind the first message counts
      const uint64_t version = number(at, 1), rank = number(at + 1, 1);
      for (uint64_t i = 0; i < rank; ++i) a.shape.push_back(number(at + (version == 1 ? 8 : 4) + 8 * i, 8));
      for (const uint64_t d : a.shape) count *= d;
      has_shape = true;
    } else if (type == kDatatype && !has_type) {
      has_type = true;
      is_float = (number(at, 1) & 15) == 1 && number(at + 1, 2) == 0x1f20 && number(at + 4, 4) == 4;  // IEEE, little-endian
    } else if (type == kLayout && address == kNone) {
      if (number(at, 1) == 3 && number(at + 1, 1) == 1) address = number(at + 2, 8), size = number(at + 10, 8);
    }
  });
  REQUIRE_THAT(has_shape && is_float && address != kNone && size == 4 * count, "mini reader: not a contiguous float32 dataset");
  REQUIRE_THAT(address <= file_.size() && size <= file_.size() - address, "mini reader: data beyond the end");
  a.bytes = file_.subspan(address, size);
  return a;
}

std::optional<uint64_t> MiniHdf5::find(const std::string& path) const {
  uint64_t at = root_;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    uint64_t next = kNone;
    for (const auto& [name, header] : members(at))
      if (name == part) next = header;
    if (next == kNone) return {};
    at = next;
    begin = end + 1;
  }
  return at;
}

std::vector<std::pair<uint64_t, uint64_t>> MiniHdf5::data_ranges() const {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  const std::function<void(uint64_t)> walk = [&](uint64_t header) {
    bool group = false;
    messages(header, [&](uint64_t type, uint64_t, uint64_t) { group |= type == kSymbolTable; });
    if (group) {
      for (const auto& [name, member] : members(header)) walk(member);
      return;
    }
    uint64_t address = kNone, size = 0;
    messages(header, [&](uint64_t type, uint64_t at, uint64_t) {
      if (type == kLayout && number(at + 1, 1) == 1) address = number(at + 2, 8), size = number(at + 10, 8);
    });
    if (address != kNone) ranges.emplace_back(address, address + size);
  };
  walk(root_);
  return ranges;
}

}  // namespace ptrain::test
