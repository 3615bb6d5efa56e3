#include "data/data_hash.hpp"

#include <algorithm>

#include "data/file.hpp"
#include "data/image.hpp"
#include "data/parallel.hpp"
#include "data/sha256.hpp"
#include "kernels/error.hpp"

namespace ptrain {

std::vector<std::string> hash_files(Manifest& manifest, std::span<const int64_t> indices, int threads) {
  parallel_for(threads, int64_t(indices.size()), [&](int64_t i) {
    std::string& known = manifest.entries.at(size_t(indices[size_t(i)])).sha256;
    if (known.empty()) known = sha256_hex(read_bytes(manifest.file(indices[size_t(i)]), "hashing", ImageLimits{}.file_bytes));
  });
  std::vector<std::string> hashes;
  for (const int64_t i : indices) hashes.push_back(manifest.entries[size_t(i)].sha256);
  return hashes;
}

std::string data_hash(const Manifest& manifest, std::span<const int64_t> indices, std::span<const std::string> file_hashes) {
  REQUIRE_THAT(indices.size() == file_hashes.size(), "data_hash: ", indices.size(), " files and ", file_hashes.size(), " hashes");
  std::vector<std::pair<std::string, std::string>> lines;
  for (size_t i = 0; i < indices.size(); ++i) lines.emplace_back(manifest.entries.at(size_t(indices[i])).path, file_hashes[i]);
  std::sort(lines.begin(), lines.end());
  Sha256 hash;
  for (const auto& [path, file_hash] : lines) hash.update(concat(file_hash, "  ", path, "\n"));
  return hash.hex();
}

}  // namespace ptrain
