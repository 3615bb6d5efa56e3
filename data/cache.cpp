#include "data/cache.hpp"

#include <algorithm>
#include <cstring>

#include "data/file.hpp"
#include "data/listing.hpp"
#include "data/parallel.hpp"
#include "data/sha256.hpp"
#include "kernels/error.hpp"

namespace ptrain {
namespace {

std::filesystem::path folder_of(const CacheOptions& options) {
  return options.folder.empty() ? std::filesystem::temp_directory_path() : options.folder;
}

}  // namespace

ImageCache::ImageCache(const CachePlan& plan, const Manifest& manifest, std::span<const int64_t> indices, std::shared_ptr<Backend> resizer,
                       const CacheOptions& options)
    : h_(options.h),
      w_(options.w),
      resize_(std::move(resizer)),
      store_(plan.tier == CacheTier::ram ? plan.ram_budget : 0,
             plan.tier == CacheTier::file || (plan.tier == CacheTier::ram && options.tier == CacheTier::automatic) ? plan.disk_budget : 0,
             folder_of(options)),
      slots_(manifest.entries.size()) {
  fill(manifest, indices, options);
}

void ImageCache::fill(const Manifest& manifest, std::span<const int64_t> indices, const CacheOptions& options) {
  std::vector<std::string> why(indices.size()), hashes(indices.size());
  std::vector<bool> seen(slots_.size());
  for (int64_t index : indices) {
    REQUIRE_THAT(!seen.at(size_t(index)), "caching images: ", manifest.entries[size_t(index)].path, " is asked for twice");
    seen[size_t(index)] = true;
  }
  const bool must_cache = options.tier == CacheTier::ram || options.tier == CacheTier::file;
  std::mutex progress;
  int64_t done = 0;
  parallel_for(options.threads, int64_t(indices.size()), [&](int64_t i) {
    const int64_t index = indices[size_t(i)];
    const Entry& entry = manifest.entries.at(size_t(index));
    Slot& slot = slots_[size_t(index)];
    try {
      const std::vector<uint8_t> bytes = read_bytes(manifest.file(index), "decoding", ImageLimits{}.file_bytes);
      const Image image = resize_(decode_image(bytes, manifest.file(index).string()), h_, w_);
      if (options.hashes) hashes[size_t(i)] = entry.sha256.empty() ? sha256_hex(bytes) : entry.sha256;
      uint8_t* room = store_.take(int64_t(image.pixels.size()));
      if (room) std::memcpy(room, image.pixels.data(), image.pixels.size());
      else if (must_cache)
        fail(ErrorKind::device, "caching ", indices.size(), " images (", str(options.tier),
             "): the images have more channels than the sample, and ", str_bytes(store_.ram_bytes() + store_.disk_bytes()),
             " are used up; allow more memory or choose another cache");
      else slot.file = manifest.file(index);
      slot.label = entry.label, slot.channels = int8_t(image.c), slot.pixels = room;
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::data) throw;
      why[size_t(i)] = e.what();
    }
    const std::lock_guard lock(progress);
    ++done;
    if (options.progress) options.progress(done, int64_t(indices.size()));
  });
  for (size_t i = 0; i < indices.size(); ++i) {
    if (!why[i].empty()) {
      bad_.push_back({indices[i], why[i]});
      continue;
    }
    indices_.push_back(indices[i]);
    if (options.hashes) hashes_.push_back(hashes[i]);
    uncached_ += !slots_[size_t(indices[i])].pixels;
  }
  std::sort(bad_.begin(), bad_.end(), [](const Bad& a, const Bad& b) { return a.index < b.index; });
  report_bad(manifest, indices.size(), options.bad_images);
}

void ImageCache::report_bad(const Manifest& manifest, size_t total, BadImages policy) const {
  if (bad_.empty() || (policy == BadImages::skip && bad_.size() < total)) return;
  std::vector<std::string> reasons;
  for (const Bad& bad : bad_) reasons.push_back(bad.why);
  fail(ErrorKind::data, "reading the images of ", manifest.root.string(), ": ", bad_.size(), " of ", total, " cannot be used",
       listing(reasons),
       policy == BadImages::fail ? "\n  mend or remove them, or leave them out with --bad-images skip" : "\n  no image is left");
}

const ImageCache::Slot& ImageCache::slot(int64_t index) const {
  REQUIRE_THAT(index >= 0 && index < int64_t(slots_.size()) && slots_[size_t(index)].channels > 0, "image ", index, " is not in the cache");
  return slots_[size_t(index)];
}

int32_t ImageCache::label(int64_t index) const { return slot(index).label; }

ImageView ImageCache::get(int64_t index) const {
  const Slot& s = slot(index);
  if (s.pixels) return {s.pixels, h_, w_, s.channels, nullptr};
  const auto image = std::make_shared<const Image>(resize_(decode_image(s.file), h_, w_));
  return {image->pixels.data(), h_, w_, image->c, image};
}

}  // namespace ptrain
