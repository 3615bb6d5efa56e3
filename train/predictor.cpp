#include "train/predictor.hpp"

#include <atomic>

#include "kernels/check.hpp"

namespace ptrain {
namespace {

constexpr int64_t kHeadRows = 64;  // images for which the head runs at a time: the sums of a row do not depend on it

}  // namespace

Tensor Predictor::pooled(std::span<const int64_t> images, const ImageSource& source, FeatureStore* store,
                         const std::function<void(int64_t)>& progress) {
  const int64_t n = int64_t(images.size()), shard = runner_.options().shard, pieces = (n + shard - 1) / shard;
  Tensor all({n, model_.features()}, runner_.options().compute, model_.memory());
  std::vector<Boundary> borders;  // one a worker
  for (int i = 0; i < workers_.threads(); ++i) borders.push_back(runner_.make_border(shard));
  std::atomic<int64_t> done{0};
  workers_.run(pieces, [&](int64_t i, Worker& worker) {
    const int64_t first = i * shard, rows = std::min(shard, n - first);
    const std::span piece = images.subspan(size_t(first), size_t(rows));
    const Boundary& border = borders[size_t(worker.index)];
    if (store && store->has(piece)) {
      store->read(*worker.exec, piece, border, 0);
    } else {
      runner_.frozen(worker, piece, source, border, 0);
      if (store) store->write(*worker.exec, piece, border, 0);
    }
    runner_.infer(worker, border, 0, rows, all, first);
    if (progress) progress(done += rows);
  });
  return all;
}

std::vector<double> Predictor::logits(std::span<const int64_t> images, const ImageSource& source, FeatureStore* store,
                                      const std::function<void(int64_t)>& progress) {
  const int64_t n = int64_t(images.size()), classes = model_.spec.head.classes;
  if (n == 0) return {};
  const Tensor features = pooled(images, source, store, progress);
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
