// ptrain predict: the class of images, and the probability of each class.
#include <iostream>
#include <mutex>

#include <fmt/ranges.h>

#include "data/csv.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/image_paths.hpp"
#include "tools/ptrain/inference.hpp"
#include "tools/ptrain/prior_options.hpp"
#include "train/decided_class.hpp"
#include "train/test_time.hpp"

namespace ptrain::cli {
namespace {

struct PredictOptions {
  InferenceOptions inference;
  std::vector<std::string> paths;
  std::string tta = "none";
  double threshold = -1;  // the model's
  PriorOptions priors;
  bool csv = false;
};

class Predict {
 public:
  explicit Predict(const PredictOptions& o)
      : o_(o),
        manifest_(images_of(o.paths, "predicting")),
        loaded_(o.inference),
        spec_(loaded_.model().spec),
        priors_(o.priors, spec_) {
    if (o_.threshold >= 0) {
      if (!(o_.threshold <= 1)) fail(ErrorKind::usage, "--threshold ", o_.threshold, ": a probability from 0 to 1 is needed");
      if (!binary())
        fail(ErrorKind::usage, "--threshold: ", o_.inference.model, " knows ", spec_.classes.size(),
             " classes; of more than two the most likely is chosen");
      spec_.threshold = o_.threshold, spec_.operating_point.clear();
    }
  }

  void run() {
    const std::vector<AugmentImage> views = test_time_views(o_.tta, spec_.height, spec_.width);
    const std::vector<int64_t> all = all_of(manifest_);
    const CacheOptions options{
        .h = spec_.height, .w = spec_.width, .threads = loaded_.threads(), .bad_images = BadImages::skip, .free = {}, .progress = {}};
    const ImageCache cache(plan_cache(manifest_, all, options), manifest_, all, resizer_for(*loaded_.memory()), options);
    const std::vector<double> p = priors_.adjust(probabilities(cache, views));
    if (const std::string text = priors_.text(); !text.empty() && !o_.inference.quiet) std::fprintf(stderr, "%s\n", text.c_str());

    // In the order of the arguments, the unreadable ones in their places.
    if (o_.csv) std::cout << csv_line(header());
    const size_t classes = spec_.classes.size();
    size_t good = 0, bad = 0;
    for (const int64_t i : all) {
      if (bad < cache.bad().size() && cache.bad()[bad].index == i) say_bad(i, cache.bad()[bad++].why);
      else say(i, std::span(p).subspan(good++ * classes, classes), views.size());
    }
    if (o_.inference.json) std::cout << json_.dump(2) << "\n";
    std::cout.flush();
    if (const std::string stored = priors_.store(o_.inference.model); !stored.empty() && !o_.inference.quiet)
      std::fprintf(stderr, "%s\n", stored.c_str());
    if (cache.bad().empty()) return;
    std::string text = fmt::format("predicting: {} of {} images could not be read", cache.bad().size(), all.size());
    for (const ImageCache::Bad& b : cache.bad()) text += "\n  " + b.why;
    fail(ErrorKind::data, text);
  }

 private:
  bool binary() const { return spec_.classes.size() == 2; }

  std::vector<double> probabilities(const ImageCache& cache, const std::vector<AugmentImage>& views) {
    const std::span<const int64_t> images = cache.indices();
    const int64_t steps = int64_t(images.size() * views.size());
    Progress progress(stderr_screen(o_.inference.quiet || steps < 100));
    progress.begin_epoch({.name = "predict", .number = 1, .epochs = 1, .steps = steps});
    std::mutex mutex;
    int64_t shown = 0;
    return view_probabilities(loaded_.model(), loaded_.predictor(), cache, images, views, [&](int64_t done) {
      const std::lock_guard lock(mutex);
      for (; shown < done; ++shown) progress.step(1, 0);
    });
  }

  std::vector<std::string> header() const {
    std::vector<std::string> names{"path", "class"};
    names.insert(names.end(), spec_.classes.begin(), spec_.classes.end());
    names.insert(names.end(), {"positive", "threshold", "temperature", "prior_shift", "views", "error"});
    return names;
  }

  void say(int64_t image, std::span<const double> p, size_t views) {
    const std::string &path = manifest_.entries[size_t(image)].path, &decision = spec_.classes[size_t(decided_class(spec_, p))];
    if (o_.inference.json) {
      nlohmann::ordered_json each;
      for (size_t c = 0; c < p.size(); ++c) each[spec_.classes[c]] = p[c];
      nlohmann::ordered_json one{{"path", path}, {"class", decision}, {"probabilities", each}};
      if (binary())
        one.update({{"positive", spec_.classes[size_t(spec_.positive)]},
                    {"probability", p[size_t(spec_.positive)]},
                    {"threshold", spec_.threshold}});
      one.update({{"temperature", spec_.temperature}, {"prior_shift", priors_.json()}, {"views", views}});
      json_.push_back(one);
    } else if (o_.csv) {
      std::vector<std::string> fields{path, decision};
      for (const double v : p) fields.push_back(fmt::format("{}", v));
      fields.insert(fields.end(),
                    {binary() ? spec_.classes[size_t(spec_.positive)] : "", binary() ? fmt::format("{}", spec_.threshold) : "",
                     fmt::format("{}", spec_.temperature), fmt::format("{}", fmt::join(spec_.priors, " ")), fmt::format("{}", views), ""});
      std::cout << csv_line(fields);
    } else {
      std::cout << path << "  " << decision;
      for (size_t c = 0; c < p.size(); ++c) std::cout << "  " << spec_.classes[c] << fmt::format(" {:.4f}", p[c]);
      if (binary()) std::cout << fmt::format("  ({} from {:.4f})", spec_.classes[size_t(spec_.positive)], spec_.threshold);
      std::cout << "\n";
    }
  }

  // In text the end tells of it, so that what a script reads holds answers only.
  void say_bad(int64_t image, const std::string& why) {
    const std::string& path = manifest_.entries[size_t(image)].path;
    if (o_.inference.json) json_.push_back({{"path", path}, {"error", why}});
    if (!o_.csv) return;
    std::vector<std::string> fields(header().size());
    fields.front() = path;
    fields.back() = why;
    std::cout << csv_line(fields);
  }

  const PredictOptions& o_;
  Manifest manifest_;
  LoadedModel loaded_;
  ModelSpec spec_;
  Priors priors_;
  nlohmann::ordered_json json_ = nlohmann::ordered_json::array();
};

}  // namespace

std::unique_ptr<Command> predict_command(CLI::App& program) {
  auto command = std::make_unique<Command>(
      program, "predict", "say of images which class they are, at the model's temperature and threshold",
      "  ptrain predict --model run1/best.h5 film.jpeg\n"
      "  ptrain predict --model run1/best.h5 --csv new_films > predictions.csv\n"
      "  ptrain predict --model run1/best.h5 --json --tta=shifts film.png      # the mean over ten views\n"
      "  ptrain predict --model run1/best.h5 --prior-shift --store new_films   # for a place with other class shares");
  const auto o = std::make_shared<PredictOptions>();
  bind(*command, o->inference);
  command->app().add_option("PATH", o->paths, "images, or folders of images")->required();
  command->option("--threshold", o->threshold, "decide at this probability of the positive class instead of the model's own")
      ->option_text("P");
  bind(*command, o->priors);
  command->app().add_flag("--tta{flip}", o->tta,
                          "test-time augmentation, the mean over several views: --tta (the image and its mirror image), --tta=shifts "
                          "(both, also moved: ten views)");
  command->flag("--csv", o->csv, "write CSV to stdout: path, class, the probability of each class, threshold, error");
  command->run = [o] { Predict(*o).run(); };
  return command;
}

}  // namespace ptrain::cli
