#include "train/predictor.hpp"

#include <atomic>

#include "kernels/check.hpp"

namespace ptrain {
namespace {

constexpr int64_t kHeadRows = 64;  // images for which the head runs at a time: the sums of a row do not depend on it

}  // namespace

std::optional<KeptFeatures> Predictor::keep(std::vector<int64_t> images, int64_t budget) const {
  const int64_t rows = int64_t(images.size());
  if (rows == 0 || rows * runner_.border_bytes_per_image() > budget) return {};
  return KeptFeatures{.images = std::move(images), .border = runner_.make_border(rows), .filled = false};
}

Tensor Predictor::pooled(std::span<const int64_t> images, const ImageSource& source, KeptFeatures* kept, const std::function<void(int64_t)>& progress) {
  const int64_t n = int64_t(images.size()), shard = runner_.options().shard, pieces = (n + shard - 1) / shard;
  Tensor all({n, model_.features()}, runner_.options().compute, model_.memory());
  std::vector<Boundary> borders;  // one a worker, where nothing is kept
  if (!kept)
    for (int i = 0; i < workers_.threads(); ++i) borders.push_back(runner_.make_border(shard));
  std::atomic<int64_t> done{0};
  workers_.run(pieces, [&](int64_t i, Worker& worker) {
    const int64_t first = i * shard, rows = std::min(shard, n - first);
    const Boundary& border = kept ? kept->border : borders[size_t(worker.index)];
    const int64_t border_row = kept ? first : 0;
    if (!kept || !kept->filled) runner_.frozen(worker, images.subspan(size_t(first), size_t(rows)), source, border, border_row);
    runner_.infer(worker, border, border_row, rows, all, first);
    if (progress) progress(done += rows);
  });
  if (kept) kept->filled = true;
  return all;
}

std::vector<double> Predictor::logits(std::span<const int64_t> images, const ImageSource& source, KeptFeatures* kept, const std::function<void(int64_t)>& progress) {
  const int64_t n = int64_t(images.size()), classes = model_.spec.head.classes;
  if (n == 0) return {};
  REQUIRE_THAT(!kept || std::equal(images.begin(), images.end(), kept->images.begin(), kept->images.end()), "predictor: features were kept for other images");
  const Tensor features = pooled(images, source, kept, progress);
  std::vector<double> scores(size_t(n * classes));
  workers_.run((n + kHeadRows - 1) / kHeadRows, [&](int64_t i, Worker& worker) {
    const int64_t first = i * kHeadRows, rows = std::min(kHeadRows, n - first);
    Tape tape;
    Context c{model_.memory()->backend(), *worker.exec, model_.memory(), tape};
    const Tensor x = c.tensor({rows, model_.features()}, wide(features.dtype()));
    c.copy_as(features.buffer().slice(first * model_.features(), x.size()), x.buffer());
    Scope scope(c, model_.params);
    const std::vector<double> values = model_.head(scope, x).to_doubles();
    std::copy(values.begin(), values.end(), scores.begin() + first * classes);
  });
  return scores;
}

}  // namespace ptrain
