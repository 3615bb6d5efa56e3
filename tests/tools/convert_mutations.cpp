// Files that somebody damaged: thousands of seeded mutations, at least half of them in the metadata. Each must be refused, or converted to
// exactly the numbers that an independent reader finds in the damaged file; nothing may hang, or eat memory.
#include <sys/resource.h>

#include <chrono>
#include <cstring>
#include <fstream>

#include "layers/formula.hpp"
#include "tests/tools/support/convert_support.hpp"
#include "tests/tools/support/mini_hdf5.hpp"
#include "tests/tools/support/write_keras.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace fs = std::filesystem;

namespace {

constexpr double kMaxSeconds = 5;

// The k-th mutation of a file.
class Mutation {
 public:
  Mutation(std::string& bytes, const std::vector<std::pair<uint64_t, uint64_t>>& data, uint64_t seed)
      : bytes_(bytes),
        data_(data),
        seed_(seed) {
    switch (draw(10)) {
      case 0: truncate(); break;
      case 1: flip(draw(bytes_.size())); break;  // anywhere, most likely in the numbers
      case 2: flip(number_position()); break;
      case 3: edit_name(); break;
      case 4: edit_size(); break;
      case 5: redirect(); break;
      case 6:
        for (uint64_t i = 0, at = metadata_position(); i < 32 && at + i < bytes_.size(); ++i) bytes_[at + i] = char(draw(256));
        break;
      case 7:
        for (uint64_t i = 0, n = 1 + draw(8), at = metadata_position(); i < n && at + i < bytes_.size(); ++i)
          bytes_[at + i] = draw(2) ? '\xff' : '\0';
        break;
      default: flip(metadata_position()); break;
    }
  }

 private:
  uint64_t draw(uint64_t below) { return splitmix64(splitmix64(seed_) + next_++) % below; }
  void flip(uint64_t at) { bytes_[at] = char(bytes_[at] ^ char(1 << draw(8))); }

  bool is_data(uint64_t at) const {
    for (const auto& [begin, end] : data_)
      if (at >= begin && at < end) return true;
    return false;
  }
  uint64_t metadata_position() {
    for (;;)
      if (const uint64_t at = draw(bytes_.size()); !is_data(at)) return at;
  }
  uint64_t number_position() {
    const auto& [begin, end] = data_[draw(data_.size())];
    return begin + draw(end - begin);
  }

  void truncate() { bytes_.resize(draw(bytes_.size())); }

  void edit_name() {  // a letter of a name somewhere in the metadata
    for (int tries = 0; tries < 10'000; ++tries) {
      const uint64_t at = metadata_position();
      if (std::isalpha(uint8_t(bytes_[at])) && at + 2 < bytes_.size() && std::isalnum(uint8_t(bytes_[at + 1]))) {
        bytes_[at] = char('a' + draw(26));
        return;
      }
    }
  }

  void edit_size() {  // a dimension of a dataset: small 8-byte numbers in the metadata
    for (int tries = 0; tries < 10'000; ++tries) {
      const uint64_t at = metadata_position() & ~uint64_t(7);
      if (at + 8 > bytes_.size() || is_data(at)) continue;
      uint64_t v;
      std::memcpy(&v, &bytes_[at], 8);
      if (v == 0 || v > 4096) continue;
      const uint64_t changed[] = {v + 1, v - 1, v * 2, v / 2, uint64_t(1) << (20 + draw(40)), ~uint64_t(0)};
      std::memcpy(&bytes_[at], &changed[draw(6)], 8);
      return;
    }
  }

  void redirect() {  // an 8-byte word takes the value of another: addresses that point elsewhere
    const uint64_t from = metadata_position() & ~uint64_t(7), to = metadata_position() & ~uint64_t(7);
    if (std::max(from, to) + 8 <= bytes_.size()) std::memmove(&bytes_[to], &bytes_[from], 8);
  }

  std::string& bytes_;
  const std::vector<std::pair<uint64_t, uint64_t>>& data_;
  uint64_t seed_, next_ = 0;
};

// Every tensor of the model is what the second reader finds under the path that `path_of` gives. Where the mutation has taken a group's
// name away (the converter goes by the layers' name attributes then) it is what lies at the address that the path had before.
template <class PathOf>
std::string compare(const fs::path& model, std::span<const char> source, const convert::NetLayout& net,
                    const std::vector<uint64_t>& addresses, PathOf&& path_of) try {
  const WeightFileReader converted(model);
  const MiniHdf5 mini(source);
  if (converted.tensors().size() != net.tensors.size()) return "the converted file has another number of tensors";
  std::vector<float> values;
  for (size_t k = 0; k < net.tensors.size(); ++k) {
    const StoredTensor& t = converted.tensors()[k];
    const MiniHdf5::Array a = mini.array(mini.find(path_of(k)).value_or(addresses[k]));
    if (t.key() != net.tensors[k].layer + "/" + net.tensors[k].var || std::vector<uint64_t>(t.shape.begin(), t.shape.end()) != a.shape)
      return t.key() + " has another name or shape";
    values.resize(size_t(t.shape.size()));
    converted.read(t, values);
    if (std::memcmp(values.data(), a.bytes.data(), a.bytes.size()) != 0) return t.key() + " has other numbers";
  }
  return "";
} catch (const Error& e) {
  return e.what();
}

// PTRAIN_MUTATIONS: how many in all; PTRAIN_MUTATION_FIRST: where to begin, to see one again.
uint64_t setting(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}
uint64_t mutation_count() { return setting("PTRAIN_MUTATIONS", 120); }

template <class PathOf>
void try_mutations(const fs::path& good, const TempDir& dir, const convert::NetLayout& net, uint64_t count, const std::string& key,
                   PathOf&& path_of) {
  const std::string original = read_file(good);
  const fs::path damaged = dir / good.filename().string(), out = dir / "converted.model";
  REQUIRE(refusal_of(damaged, out) == "");
  const MiniHdf5 undamaged(original);
  std::vector<uint64_t> addresses;
  for (size_t i = 0; i < net.tensors.size(); ++i) addresses.push_back(undamaged.find(path_of(i)).value());
  REQUIRE(compare(out, original, net, addresses, path_of) == "");
  const std::vector<std::pair<uint64_t, uint64_t>> data = undamaged.data_ranges();
  REQUIRE(data.size() == net.tensors.size());

  uint64_t accepted = 0, refused = 0;
  double slowest = 0;
  for (uint64_t k = setting("PTRAIN_MUTATION_FIRST", 0), end = k + count; k < end; ++k) {
    CAPTURE(k);
    std::string bytes = original;
    Mutation(bytes, data, fnv1a64(key) + k);
    std::ofstream(damaged, std::ios::binary | std::ios::trunc).write(bytes.data(), std::streamsize(bytes.size()));
    fs::remove(out);
    const auto start = std::chrono::steady_clock::now();
    const std::string refusal = refusal_of(damaged, out);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    slowest = std::max(slowest, seconds);
    CHECK_MESSAGE(seconds < kMaxSeconds, "mutation ", k, " of ", key, " took ", seconds, " s: ", refusal);
    CHECK_MESSAGE(!refusal.starts_with("kind "), "mutation ", k, " of ", key, ": ", refusal);
    if (refusal.empty()) CHECK_MESSAGE(compare(out, bytes, net, addresses, path_of) == "", "mutation ", k, " of ", key);
    else CHECK_MESSAGE(!fs::exists(out), "mutation ", k, " of ", key, " was refused and written");
    ++(refusal.empty() ? accepted : refused);
  }
  rusage child{}, self{};
  getrusage(RUSAGE_CHILDREN, &child), getrusage(RUSAGE_SELF, &self);
  MESSAGE(key, ": ", accepted, " accepted, ", refused, " refused; slowest ", slowest, " s; memory ", child.ru_maxrss / 1024,
          " MiB in children, ", self.ru_maxrss / 1024, " MiB here");
  CHECK((count < 30 || (accepted > 0 && refused > 0)));
#if !defined(__SANITIZE_ADDRESS__)
  CHECK(child.ru_maxrss + self.ru_maxrss < 512 * 1024);
#endif
}

}  // namespace

TEST_CASE("mutated legacy files") {
  const TempDir dir;
  const convert::NetLayout& net = convert::find_layout(layouts(), "mobilenet_v2");
  const fs::path good = dir / "good.h5";
  write_legacy_h5(good, net);
  try_mutations(good, dir, net, mutation_count() / 2, "legacy", [&](size_t k) {
    const convert::LayoutTensor& t = net.tensors[k];
    return t.layer + "/" + t.layer + "/" + (t.var == "depthwise_kernel" ? "kernel" : t.var);
  });
}

TEST_CASE("mutated trees of weights") {
  const TempDir dir;
  const convert::NetLayout& net = convert::find_layout(layouts(), "mobilenet_v2");
  const fs::path good = dir / "good.weights.h5";
  write_weights_h5(good, net);
  std::vector<std::string> paths(net.tensors.size());
  std::map<std::string, int> used;
  for (const convert::LayoutLayer& l : net.layers) {
    const int number = used[l.kind]++;
    for (size_t i = 0; i < l.count; ++i)
      paths[l.first + i] = "layers/" + l.kind + (number ? "_" + std::to_string(number) : "") + "/vars/" + std::to_string(i);
  }
  try_mutations(good, dir, net, mutation_count() - mutation_count() / 2, "tree", [&](size_t k) { return paths[k]; });
}
