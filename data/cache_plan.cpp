// Where a cache will lie: decided by a budget before anything is decoded in earnest.
#include <algorithm>
#include <limits>

#include "data/cache.hpp"
#include "data/file.hpp"
#include "kernels/error.hpp"

namespace ptrain {
namespace {

constexpr int64_t kSample = 32;

// Images of evenly spread places, and how many of them are grey. A bad image tells nothing.
void look_at_sample(const Manifest& manifest, std::span<const int64_t> indices, CachePlan& plan) {
  const int64_t count = std::min(kSample, plan.images);
  for (int64_t k = 0; k < count; ++k) {
    const int64_t index = indices[size_t(k * plan.images / count)];
    try {
      const Image image = decode_image(manifest.file(index));
      ++plan.sampled;
      plan.sampled_grey += image.c == 1;
    } catch (const Error&) {
      continue;  // the cache names it
    }
  }
}

}  // namespace

const char* str(CacheTier tier) {
  switch (tier) {
    case CacheTier::automatic: return "automatic";
    case CacheTier::ram: return "ram";
    case CacheTier::file: return "file";
    case CacheTier::none: return "none";
  }
  return "?";
}

CacheTier parse_cache_tier(const std::string& text) {
  for (CacheTier tier : {CacheTier::automatic, CacheTier::ram, CacheTier::file, CacheTier::none})
    if (text == str(tier)) return tier;
  fail(ErrorKind::usage, "there is no cache called '", text, "'; choose automatic, ram, file or none");
}

CachePlan plan_cache(const Manifest& manifest, std::span<const int64_t> indices, const CacheOptions& options) {
  if (options.h < 1 || options.w < 1 || options.h > ImageLimits{}.side || options.w > ImageLimits{}.side)
    fail(ErrorKind::usage, "the input size is ", options.h, " by ", options.w, "; 1 to ", ImageLimits{}.side, " is wanted");
  const std::filesystem::path folder = options.folder.empty() ? std::filesystem::temp_directory_path() : options.folder;
  const FreeMemory free = options.free ? *options.free : measure_free_memory(folder);
  CachePlan plan;
  plan.images = int64_t(indices.size());
  plan.ram_budget = options.ram_budget >= 0 ? options.ram_budget : free.ram / 2;
  plan.disk_budget = free.disk / 10 * 9;
  if (options.tier == CacheTier::none) return plan;

  look_at_sample(manifest, indices, plan);
  const int64_t colour = plan.sampled - plan.sampled_grey, known = std::max<int64_t>(plan.sampled, 1);
  const int64_t grey_bytes = (options.h * options.w + 63) / 64 * 64, colour_bytes = (3 * options.h * options.w + 63) / 64 * 64;
  const int64_t colour_images = plan.sampled == 0 ? plan.images : (plan.images * colour + known - 1) / known;
  plan.bytes = colour_images * colour_bytes + (plan.images - colour_images) * grey_bytes;  // below 2^31 · 2^30

  const bool ram = plan.bytes <= plan.ram_budget, file = plan.bytes <= plan.disk_budget;
  if (options.tier == CacheTier::ram && !ram)
    fail(ErrorKind::device, "caching ", plan.images, " images of ", options.w, " by ", options.h, " in memory: ", str_bytes(plan.bytes),
         " are needed, ", str_bytes(plan.ram_budget), " may be used (", str_bytes(free.ram),
         " are free); choose the file cache or no cache, or allow more");
  if (options.tier == CacheTier::file && !file)
    fail(ErrorKind::device, "caching ", plan.images, " images of ", options.w, " by ", options.h, " in a file: ", str_bytes(plan.bytes),
         " are needed, ", str_bytes(plan.disk_budget), " may be used in ", folder.string(), "; choose another folder or no cache");
  plan.tier = options.tier != CacheTier::automatic ? options.tier : ram ? CacheTier::ram : file ? CacheTier::file : CacheTier::none;
  return plan;
}

std::string str(const CachePlan& plan) {
  if (plan.tier == CacheTier::none && plan.bytes == 0) return concat("cache: none, ", plan.images, " images are decoded in every epoch");
  const std::string need = concat(plan.images, " images need ", str_bytes(plan.bytes), plan.sampled_grey == plan.sampled ? " (grey)" : "",
                                  "; ", str_bytes(plan.ram_budget), " of memory and ", str_bytes(plan.disk_budget), " of disk may be used");
  return concat("cache: ",
                plan.tier == CacheTier::none  ? "none, images are decoded in every epoch"
                : plan.tier == CacheTier::ram ? "in memory"
                                              : "in a mapped file",
                "; ", need);
}

}  // namespace ptrain
