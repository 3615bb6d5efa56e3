#include "tools/ptrain/image_paths.hpp"

#include <numeric>

#include "kernels/error.hpp"

namespace ptrain::cli {

Manifest images_of(const std::vector<std::string>& paths, const std::string& doing) {
  Manifest manifest;
  for (const std::string& path : paths) {
    if (std::filesystem::is_directory(path)) {
      for (const std::string& file : list_images(path))
        manifest.entries.push_back({.path = (std::filesystem::path(path) / file).string(), .label = 0, .patient = ""});
    } else {
      manifest.entries.push_back({.path = path, .label = 0, .patient = ""});
    }
  }
  if (manifest.entries.empty())
    fail(ErrorKind::data, doing, ": no images in the given folders; .jpg, .jpeg, .png, .bmp and .gif files are looked for");
  return manifest;
}

std::vector<int64_t> all_of(const Manifest& manifest) {
  std::vector<int64_t> all(manifest.entries.size());
  std::iota(all.begin(), all.end(), int64_t{0});
  return all;
}

}  // namespace ptrain::cli
