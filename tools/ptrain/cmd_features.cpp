// ptrain features: what a net sees in images, as a NumPy array.
#include "data/npy.hpp"
#include "layers/formula.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/train_options.hpp"

namespace ptrain::cli {
namespace {

struct FeaturesOptions {
  std::string net, weights, images, npy, out, layer, pool = "none";
  std::string device = "auto", conv = "direct";
  bool train_mode = false;
  int64_t threads = 0, image_size = 0;
};

// Ends a pass when the layer that was asked for is there.
struct Found {};
class Catcher : public LayerObserver {
 public:
  explicit Catcher(std::string name) : name_(std::move(name)) {}
  void layer(const LayerSpec& spec, const std::vector<Tensor>&, const Tensor& y) override {
    if (spec.name != name_) return;
    output = y;
    throw Found{};
  }
  Tensor output;

 private:
  std::string name_;
};

class Features {
 public:
  explicit Features(const FeaturesOptions& o)
      : o_(o),
        net_(find_net(o.net)),
        threads_(choose_threads(o.threads)),
        memory_(chosen_device(o.device, o.conv)),
        params_(build(features_of(net_), {1, net_.input_size, net_.input_size, 3})) {
    if (o_.images.empty() == o_.npy.empty()) fail(ErrorKind::usage, "one of --images and --npy is needed");
    if (o_.pool != "none" && o_.pool != "avg") fail(ErrorKind::usage, "--pool ", o_.pool, ": known are none, avg");
    check_layer();
    params_.allocate(memory_, DType::float32);
    load();
    std::fprintf(stderr, "%s on %s\n", o_.net.c_str(), str(memory_->device()).c_str());
  }

  void run() {
    if (!o_.npy.empty()) from_array();
    else from_images();
  }

 private:
  void check_layer() const {
    if (o_.layer.empty()) return;
    std::vector<std::string> names;
    for (const Layer& l : list_layers(features_of(net_), {1, net_.input_size, net_.input_size, 3})) names.push_back(l.spec.name);
    if (std::find(names.begin(), names.end(), o_.layer) != names.end()) return;
    const std::string near = nearest(o_.layer, names);
    fail(ErrorKind::usage, "--layer ", o_.layer, ": ", o_.net, " has no such layer", near.empty() ? "" : "; did you mean " + near + "?",
         "\n  ptrain nets --net ", o_.net, " --layers lists them");
  }

  void load() {
    if (o_.weights == "formula" || o_.weights.starts_with("formula:"))
      return formula_weights(params_, net_.keras_name, o_.weights == "formula" ? "" : o_.weights.substr(8));
    const WeightFileReader file(o_.weights);
    const std::vector<std::string> left_out = load_weights(params_, file, {.leave_out = is_classifier_layer, .into = o_.net});
    if (!left_out.empty())
      std::fprintf(stderr, "left out of %s: %s (the classifier on top)\n", o_.weights.c_str(), left_out.front().c_str());
  }

  // The features of preprocessed images [n, h, w, 3].
  Tensor pass(Exec& exec, const Tensor& x, FrozenWeights* packed) {
    Tape tape;
    Context c{memory_->backend(), exec, memory_, tape};
    Catcher catcher(o_.layer);
    ScopeOptions options{.batch_statistics = o_.train_mode};
    if (o_.layer.empty()) options.frozen = packed;
    else options.observer = &catcher;
    Scope scope(c, params_, options);
    Tensor y;
    try {
      y = net_.features(scope, x);
    } catch (const Found&) {
      y = catcher.output;
    }
    return o_.pool == "avg" && y.shape().rank() == 4 ? global_avg_pool(c, y) : y;
  }

  void from_array() {
    const NpyArray in = read_npy(o_.npy);
    if (in.shape.size() != 4 || in.shape[3] != 3)
      fail(ErrorKind::data, "reading ", o_.npy, ": images [n, height, width, 3] are needed, preprocessed for ", o_.net);
    const int64_t n = in.shape[0], h = in.shape[1], w = in.shape[2], size = h * w * 3;
    check_size(h, w);
    if (n == 0) fail(ErrorKind::data, "reading ", o_.npy, ": it holds no image");
    collect(n, h, w, [&](int64_t i) { return std::vector<float>(in.values.begin() + i * size, in.values.begin() + (i + 1) * size); });
  }

  void from_images() {
    Manifest manifest;
    for (const std::string& file : list_images(o_.images))
      manifest.entries.push_back({.path = (std::filesystem::path(o_.images) / file).string(), .label = 0, .patient = ""});
    if (manifest.entries.empty()) fail(ErrorKind::data, "no images in ", o_.images);
    const int64_t n = int64_t(manifest.entries.size()), side = o_.image_size > 0 ? o_.image_size : net_.input_size;
    check_size(side, side);
    std::vector<int64_t> all(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) all[size_t(i)] = i;
    const CacheOptions options{.h = side, .w = side, .threads = threads_, .free = {}, .progress = {}};
    const ImageCache cache(plan_cache(manifest, all, options), manifest, all, resizer_for(*memory_), options);
    const Preprocess preprocess = preprocess_of(net_.preprocess);
    collect(n, side, side, [&](int64_t i) {
      const ImageView view = cache.get(i);
      const AugmentImage plain;
      std::vector<float> x(size_t(side * side * 3));
      const std::shared_ptr<Backend> host = resizer_for(*memory_);
      const auto exec = host->make_exec(1);
      host->augment(*exec, {.n = 1, .h = side, .w = side, .c = view.c}, {&plain, 1},
                    {const_cast<uint8_t*>(view.pixels), DType::uint8, side * side * view.c}, preprocess,
                    {x.data(), DType::float32, int64_t(x.size())});
      return x;
    });
  }

  void check_size(int64_t h, int64_t w) const {
    if (std::min(h, w) < net_.min_size)
      fail(ErrorKind::data, o_.net, " takes images of at least ", net_.min_size, "x", net_.min_size, ", not ", h, "x", w);
  }

  // Image by image on all threads and written in order; in training mode all at once, since the batch is what counts.
  void collect(int64_t n, int64_t h, int64_t w, const std::function<std::vector<float>(int64_t)>& image) {
    if (o_.train_mode) {
      std::vector<float> all;
      for (int64_t i = 0; i < n; ++i) {
        const std::vector<float> x = image(i);
        all.insert(all.end(), x.begin(), x.end());
      }
      const auto exec = memory_->backend().make_exec(threads_);
      const Tensor y = pass(*exec, Tensor::from(all, {n, h, w, 3}, DType::float32, memory_), nullptr);
      return write_npy(o_.out, {y.shape().begin(), y.shape().end()}, y.to_floats());
    }
    FrozenWeights packed;
    Workers workers(memory_->shared_backend(), workers_for(*memory_, threads_));
    std::unique_ptr<NpyWriter> writer;
    const int64_t block = std::max<int64_t>(16, 2 * threads_);
    for (int64_t first = 0; first < n; first += block) {
      std::vector<Tensor> outputs(size_t(std::min(block, n - first)));
      workers.run(int64_t(outputs.size()), [&](int64_t i, Worker& worker) {
        outputs[size_t(i)] = pass(*worker.exec, Tensor::from(image(first + i), {1, h, w, 3}, DType::float32, memory_), &packed);
      });
      for (const Tensor& y : outputs) {
        if (!writer) {
          std::vector<int64_t> shape(y.shape().begin(), y.shape().end());
          shape[0] = n;
          writer = std::make_unique<NpyWriter>(o_.out, shape);
        }
        writer->append(y.to_floats());
      }
    }
    writer->finish();
  }

  static bool is_classifier_layer(const std::string& layer) { return is_top_layer(layer) || is_head_layer(layer); }

  const FeaturesOptions& o_;
  const NetInfo& net_;
  int threads_;
  std::shared_ptr<Memory> memory_;
  Params params_;
};

}  // namespace

std::unique_ptr<Command> features_command(CLI::App& program) {
  auto command =
      std::make_unique<Command>(program, "features", "write what a net sees in images as a NumPy array",
                                "  ptrain features --net resnet50 --weights resnet50.h5 --images films --pool avg --out features.npy\n"
                                "  ptrain features --net vgg16 --weights formula --npy x.npy --layer block3_pool --out y.npy");
  const auto o = std::make_shared<FeaturesOptions>();
  command->option("--net", o->net, "vgg16, mobilenet_v2, densenet121, inception_v3, resnet50")->required();
  command->option("--weights", o->weights, "converted weights, or formula[:SALT]")->required()->option_text("FILE.h5");
  command->option("--images", o->images, "folder of images")->option_text("DIR");
  command->option("--npy", o->npy, "float32 images [n, height, width, 3], preprocessed")->option_text("X.npy");
  command->option("--out", o->out, "float32 array to write")->required()->option_text("F.npy");
  command->option("--layer", o->layer, "the output of this Keras layer (the last one unless given)");
  command->option("--pool", o->pool, "none, avg (mean over height and width)");
  command->option("--image-size", o->image_size, "height and width to which --images are resized (0: the net's own)");
  command->flag("--train-mode", o->train_mode, "batch norms use the statistics of the batch");
  command->option("--device", o->device, kDeviceHelp);
  command->option("--conv", o->conv, kConvHelp);
  command->option("--threads", o->threads, "threads on the CPU (0: all processors)");
  command->run = [o] { Features(*o).run(); };
  return command;
}

}  // namespace ptrain::cli
