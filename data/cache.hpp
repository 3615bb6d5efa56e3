// defines: ImageCache, every image of a run decoded once; CachePlan, where it will lie
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/free_memory.hpp"
#include "data/image.hpp"
#include "data/manifest.hpp"
#include "data/pixel_store.hpp"
#include "data/resize.hpp"

namespace ptrain {

enum class CacheTier : uint8_t { automatic, ram, file, none };  // none: decoded anew each time
const char* str(CacheTier);
CacheTier parse_cache_tier(const std::string&);  // automatic, ram, file, none; else Error{usage}

enum class BadImages : uint8_t { fail, skip };

struct CacheOptions {
  int64_t h = 224, w = 224;
  CacheTier tier = CacheTier::automatic;
  int64_t ram_budget = -1;       // bytes; −1: half of the free memory
  std::filesystem::path folder;  // for the mapped file; empty: the system's folder for temporary files
  int threads = 1;
  BadImages bad_images = BadImages::fail;
  bool hashes = false;             // keep the SHA-256 of each file: data_hash() needs them
  std::optional<FreeMemory> free;  // measured when absent
  // Called after each image by one thread at a time. What it throws ends the filling: that is how a filling is interrupted.
  std::function<void(int64_t done, int64_t total)> progress;
};

// Decided before anything is cached. Whether an image has one channel or three is only known after decoding, so `bytes` is reckoned
// from a sample: what the images need if they are like those.
struct CachePlan {
  CacheTier tier = CacheTier::none;  // never automatic
  int64_t images = 0, bytes = 0;
  int64_t ram_budget = 0, disk_budget = 0;
  int64_t sampled = 0, sampled_grey = 0;
};
std::string str(const CachePlan&);  // one line for the user

// automatic: RAM when it fits the budget, else the file when it fits the disk, else none. A tier that was asked for and does not fit
// is Error{device} with the figures and what to do.
CachePlan plan_cache(const Manifest&, std::span<const int64_t> indices, const CacheOptions&);

// h·w·c bytes by rows, c is 1 or 3. The pixels live as long as the cache, or as the view when the image is not cached.
struct ImageView {
  const uint8_t* pixels = nullptr;
  int64_t h = 0, w = 0, c = 0;
  std::shared_ptr<const Image> owner;
};

// The images of a manifest in the size of a net's input, as uint8, grey ones with one channel. After the constructor get() reads nothing
// from the disk for cached images, and any number of threads may call it.
class ImageCache {
 public:
  struct Bad {
    int64_t index = 0;
    std::string why;  // the whole message of the decoder
  };

  // Decodes every image once, whatever the tier, so that a bad one is known before the training. BadImages::fail: Error{data} that names
  // all of them (at most 20 and a count). BadImages::skip: they are listed in bad(). Should the sample have misled the plan, an automatic
  // cache goes on in the next tier and one that was asked for ends in Error{device}.
  ImageCache(const CachePlan&, const Manifest&, std::span<const int64_t> indices, std::shared_ptr<Backend> resizer, const CacheOptions&);

  ImageView get(int64_t index) const;  // an index of the manifest; Error{failed} when it is not here
  int32_t label(int64_t index) const;
  int64_t h() const { return h_; }
  int64_t w() const { return w_; }
  const std::vector<int64_t>& indices() const { return indices_; }    // the readable ones, in the given order
  const std::vector<Bad>& bad() const { return bad_; }                // by index
  const std::vector<std::string>& hashes() const { return hashes_; }  // of indices(), when asked for
  int64_t ram_bytes() const { return store_.ram_bytes(); }
  int64_t disk_bytes() const { return store_.disk_bytes(); }
  int64_t uncached() const { return uncached_; }  // images that get() decodes anew

 private:
  struct Slot {
    const uint8_t* pixels = nullptr;
    int8_t channels = 0;  // 0: not here
    int32_t label = 0;
    std::filesystem::path file;  // of an image without pixels
  };
  const Slot& slot(int64_t index) const;
  void fill(const Manifest&, std::span<const int64_t> indices, const CacheOptions&);
  void report_bad(const Manifest&, size_t total, BadImages) const;

  int64_t h_, w_;
  Resizer resize_;
  PixelStore store_;
  std::vector<Slot> slots_;  // by index of the manifest
  std::vector<int64_t> indices_;
  std::vector<Bad> bad_;
  std::vector<std::string> hashes_;
  int64_t uncached_ = 0;
};

}  // namespace ptrain
