#include "train/explain/occlusion.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "train/image_source.hpp"

namespace ptrain {
namespace {

std::vector<int64_t> starts(int64_t length, int64_t patch, int64_t stride) {
  std::vector<int64_t> at;
  for (int64_t i = 0; i + patch < length; i += stride) at.push_back(i);
  at.push_back(length - patch);
  return at;
}

}  // namespace

Patches patches(int64_t h, int64_t w, const OcclusionOptions& o) {
  const int64_t patch = o.patch > 0 ? o.patch : std::max<int64_t>(1, std::min(h, w) / 7),
                stride = o.stride > 0 ? o.stride : std::max<int64_t>(1, patch / 2);
  if (o.patch < 0 || o.stride < 0 || patch > std::min(h, w))
    fail(ErrorKind::usage, "--patch ", o.patch, " --stride ", o.stride, ": sides of 1 to ", std::min(h, w), " pixels are possible");
  if (stride > patch)
    fail(ErrorKind::usage, "--stride ", stride, ": with a patch of ", patch,
         " pixels a larger stride leaves pixels that are never covered");
  Patches p{h, w, patch, {}};
  for (const int64_t y : starts(h, patch, stride))
    for (const int64_t x : starts(w, patch, stride)) p.corners.emplace_back(y, x);
  return p;
}

HeatMap spread(const Patches& p, std::span<const double> values) {
  REQUIRE_THAT(values.size() == p.corners.size(), "occlusion: ", values.size(), " values for ", p.corners.size(), " patches");
  HeatMap map{p.h, p.w, std::vector<double>(size_t(p.h * p.w))};
  std::vector<int32_t> covered(map.values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto [top, left] = p.corners[i];
    for (int64_t y = top; y < top + p.patch; ++y)
      for (int64_t x = left; x < left + p.patch; ++x) {
        map.values[size_t(y * p.w + x)] += values[i];
        ++covered[size_t(y * p.w + x)];
      }
  }
  for (size_t i = 0; i < covered.size(); ++i) map.values[i] /= covered[i];
  return map;
}

double log_odds(std::span<const double> logits, int of_class) {
  double top = -INFINITY, sum = 0;
  for (size_t c = 0; c < logits.size(); ++c)
    if (int(c) != of_class) top = std::max(top, logits[c]);
  for (size_t c = 0; c < logits.size(); ++c)
    if (int(c) != of_class) sum += std::exp(logits[c] - top);
  return logits[size_t(of_class)] - top - std::log(sum);
}

HeatMap occlusion_map(const Model& model, Predictor& predictor, const ImageView& image, int of_class, const OcclusionOptions& options) {
  const Patches p = patches(image.h, image.w, options);
  const int64_t bytes = image.h * image.w * image.c;
  const std::span pixels(image.pixels, size_t(bytes));
  std::vector<uint8_t> mean(size_t(image.c));
  for (int64_t c = 0; c < image.c; ++c) {
    int64_t sum = 0;
    for (int64_t i = c; i < bytes; i += image.c) sum += pixels[size_t(i)];
    mean[size_t(c)] = uint8_t(std::lround(double(sum) / double(image.h * image.w)));
  }
  // Image number 0 is the image as it is, number i has the patch i − 1.
  const ImageSource source = shown_source(model, {}, [&](int64_t number) {
    const auto covered = std::make_shared<Image>(Image{image.h, image.w, image.c, {pixels.begin(), pixels.end()}});
    if (number > 0) {
      const auto [top, left] = p.corners[size_t(number - 1)];
      for (int64_t y = top; y < top + p.patch; ++y)
        for (int64_t k = left * image.c; k < (left + p.patch) * image.c; ++k)
          covered->pixels[size_t(y * image.w * image.c + k)] = mean[size_t(k % image.c)];
    }
    return Shown{{covered->pixels.data(), image.h, image.w, image.c, covered}, {}};
  });
  std::vector<int64_t> numbers(p.corners.size() + 1);
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  const std::vector<double> logits = predictor.logits(numbers, source);
  const size_t classes = logits.size() / numbers.size();
  const auto odds = [&](size_t i) { return log_odds(std::span(logits).subspan(i * classes, classes), of_class); };
  std::vector<double> falls;
  for (size_t i = 1; i < numbers.size(); ++i) falls.push_back(odds(0) - odds(i));
  return spread(p, falls);
}

}  // namespace ptrain
