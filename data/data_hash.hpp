// defines: the hash that names a data set by its content
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/manifest.hpp"

namespace ptrain {

// The SHA-256 of each file, in the order of `indices`. Files whose entry does not have it yet are read, with `threads` threads, and their
// entry has it then. A cache has them for nothing (cache.hpp).
std::vector<std::string> hash_files(Manifest&, std::span<const int64_t> indices, int threads);

// The SHA-256 of one line a file, "<its hash>  <its path>\n", sorted by path: the same for the same files wherever the folder lies,
// another one when a byte, a name or a class changes. To check it by hand: cd DIR; sha256sum FILES… | LC_ALL=C sort -k2 | sha256sum
std::string data_hash(const Manifest&, std::span<const int64_t> indices, std::span<const std::string> file_hashes);

}  // namespace ptrain
