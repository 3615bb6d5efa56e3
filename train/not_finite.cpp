#include "train/not_finite.hpp"

#include "kernels/check.hpp"

namespace ptrain {
namespace {

class Finder : public LayerObserver {
 public:
  Finder(const Model& model, Exec& exec) : model_(model), exec_(exec) {}
  void layer(const LayerSpec& spec, const std::vector<Tensor>&, const Tensor& output) override {
    if (first.empty() && !all_finite(model_, exec_, output.buffer())) first = "the output of " + spec.name;
  }
  std::string first;

 private:
  const Model& model_;
  Exec& exec_;
};

}  // namespace

bool all_finite(const Model& model, Exec& exec, Buffer x) {
  const Tensor flag({1}, DType::int32, model.memory());
  int32_t finite = 0;
  Backend& backend = model.memory()->backend();
  backend.all_finite(exec, x, flag.buffer());
  backend.download(exec, flag.buffer(), &finite);
  return finite != 0;
}

std::string first_not_finite_output(Model& model, Exec& exec, std::span<const int64_t> images, const ImageSource& source, DType compute) {
  Tape tape;
  Context c{model.memory()->backend(), exec, model.memory(), tape};
  const Tensor x = c.tensor(model.input(int64_t(images.size())), compute);
  source(images, c, x.buffer());
  Finder finder(model, exec);
  Scope scope(c, model.params, {.observer = &finder});
  const Tensor base = model.body(scope, x), pooled = c.tensor(base.shape(), wide(compute));
  c.copy_as(base.buffer(), pooled.buffer());
  model.head(scope, pooled);
  return finder.first;
}

}  // namespace ptrain
