// ptrain explain: where in an image a model saw a class, as a picture.
#include <iostream>
#include <set>

#include "data/csv.hpp"
#include "data/encode.hpp"
#include "data/file.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/image_paths.hpp"
#include "tools/ptrain/inference.hpp"
#include "train/calibration.hpp"
#include "train/class_priors.hpp"
#include "train/decided_class.hpp"
#include "train/explain/grad_cam.hpp"
#include "train/explain/occlusion.hpp"

namespace ptrain::cli {
namespace {

constexpr int64_t kLongestSide = 1024;  // of the pictures that are written

struct ExplainOptions {
  InferenceOptions inference;
  std::vector<std::string> paths;
  std::string out, method = "grad-cam", layer, of_class;
  OcclusionOptions occlusion;
};

// What is found for one image.
struct Explanation {
  int64_t index = 0;
  std::string png;
  int of_class = 0, decision = 0;
  std::vector<double> probabilities;
  double peak = 0, peak_x = 0, peak_y = 0;  // the largest value and where it is, as shares of width and height
};

class Explain {
 public:
  explicit Explain(const ExplainOptions& o) : o_(o), manifest_(images_of(o.paths, "explaining")), loaded_(o.inference) {
    if (o_.method != "grad-cam" && o_.method != "occlusion")
      fail(ErrorKind::usage, "--method ", o_.method, ": known are grad-cam, occlusion");
    if (o_.method == "occlusion" && !o_.layer.empty())
      fail(ErrorKind::usage, "--layer belongs to grad-cam: occlusion looks at the image itself");
    if (!o_.of_class.empty()) class_ = class_named("--class", o_.of_class, spec().classes);
    patches(spec().height, spec().width, o_.occlusion);  // refuses sizes that cannot be
    std::filesystem::create_directories(o_.out);
  }

  void run() {
    const std::vector<int64_t> all = all_of(manifest_);
    const CacheOptions options{
        .h = spec().height, .w = spec().width, .threads = loaded_.threads(), .bad_images = BadImages::skip, .free = {}, .progress = {}};
    const ImageCache cache(plan_cache(manifest_, all, options), manifest_, all, resizer_for(*loaded_.memory()), options);
    std::vector<Explanation> found;
    std::set<std::string> taken;
    for (const int64_t i : cache.indices())
      found.push_back({.index = i, .png = free_name(manifest_.entries[size_t(i)].path, taken), .probabilities = {}});
    if (o_.method == "grad-cam") grad_cam(cache, found);
    else occlusion(cache, found);
    tell(found);
    if (cache.bad().empty()) return;
    std::string text = fmt::format("explaining: {} of {} images could not be read", cache.bad().size(), all.size());
    for (const ImageCache::Bad& bad : cache.bad()) text += "\n  " + bad.why;
    fail(ErrorKind::data, text);
  }

 private:
  const ModelSpec& spec() { return loaded_.model().spec; }

  std::string free_name(const std::string& path, std::set<std::string>& taken) const {
    const std::string stem = std::filesystem::path(path).stem().string();
    std::string name = stem;
    for (int i = 2; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", stem, i);
    return name + "." + o_.method + ".png";
  }

  // The class that is explained: the one asked for, or the one that the model decides for.
  int choose(std::span<const double> logits, Explanation& e) {
    e.probabilities = with_priors(spec(), apply_temperature(logits, int(logits.size()), spec().temperature));
    e.decision = decided_class(spec(), e.probabilities);
    return e.of_class = class_ >= 0 ? class_ : e.decision;
  }

  void grad_cam(const ImageCache& cache, std::vector<Explanation>& found) {
    const GradCam cam(loaded_.model(), o_.layer);
    const ImageSource source = plain_source(loaded_.model(), cache);
    loaded_.workers().run(int64_t(found.size()), [&](int64_t i, Worker& worker) {
      Explanation& e = found[size_t(i)];
      Tape tape;
      Context c{loaded_.memory()->backend(), *worker.exec, loaded_.memory(), tape};
      const Tensor x = c.tensor(loaded_.model().input(1), loaded_.compute());
      source({&e.index, 1}, c, x.buffer());
      write(e, cam(*worker.exec, x, [&](std::span<const double> logits) { return choose(logits, e); }).map);
    });
  }

  void occlusion(const ImageCache& cache, std::vector<Explanation>& found) {
    for (Explanation& e : found) {
      choose(loaded_.predictor().logits({&e.index, 1}, plain_source(loaded_.model(), cache)), e);
      write(e, occlusion_map(loaded_.model(), loaded_.predictor(), cache.get(e.index), e.of_class, o_.occlusion));
    }
  }

  // The map over the image as it is in its file, which may have another shape than the net's input.
  void write(Explanation& e, const HeatMap& map) {
    e.peak = map.largest();
    if (e.peak > 0) {
      const int64_t at = std::max_element(map.values.begin(), map.values.end()) - map.values.begin();
      e.peak_x = (double(at % map.w) + 0.5) / double(map.w);
      e.peak_y = (double(at / map.w) + 0.5) / double(map.h);
    }
    Image image = decode_image(manifest_.file(e.index));
    if (const int64_t longest = std::max(image.h, image.w); longest > kLongestSide) {
      const int64_t h = std::max<int64_t>(1, image.h * kLongestSide / longest), w = std::max<int64_t>(1, image.w * kLongestSide / longest);
      image = Resizer(resizer_for(*loaded_.memory()))(std::move(image), h, w);
    }
    AtomicFile file(std::filesystem::path(o_.out) / e.png);
    file.write(encode_png(overlay(image, map)));
    file.commit();
  }

  void tell(const std::vector<Explanation>& found) {
    std::string csv = csv_line({"path", "png", "class", "decision", "p_class", "peak", "peak_x", "peak_y"});
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const Explanation& e : found) {
      const std::string &path = manifest_.entries[size_t(e.index)].path, &of = spec().classes[size_t(e.of_class)],
                        &decision = spec().classes[size_t(e.decision)];
      const double p = e.probabilities[size_t(e.of_class)];
      const std::string png = (std::filesystem::path(o_.out) / e.png).string();
      csv += csv_line({path, e.png, of, decision, fmt::format("{}", p), fmt::format("{}", e.peak), fmt::format("{}", e.peak_x),
                       fmt::format("{}", e.peak_y)});
      if (o_.inference.json)
        json.push_back({{"path", path},
                        {"png", png},
                        {"class", of},
                        {"decision", decision},
                        {"probability", p},
                        {"peak", e.peak},
                        {"peak_x", e.peak_x},
                        {"peak_y", e.peak_y}});
      else
        std::cout << path << "  " << of << fmt::format(" {:.4f}  ", p) << png
                  << (e.peak > 0 ? "" : "  (nothing raised the score of this class)") << "\n";
    }
    if (o_.inference.json) std::cout << json.dump(2) << "\n";
    std::cout.flush();
    AtomicFile file(std::filesystem::path(o_.out) / "explain.csv");
    file.write(csv);
    file.commit();
  }

  const ExplainOptions& o_;
  Manifest manifest_;
  LoadedModel loaded_;
  int class_ = -1;
};

}  // namespace

std::unique_ptr<Command> explain_command(CLI::App& program) {
  auto command = std::make_unique<Command>(program, "explain", "show where in images a model sees a class: Grad-CAM or occlusion, as PNG",
                                           "  ptrain explain --model run1/best.h5 film.jpeg --out maps\n"
                                           "  ptrain explain --model run1/best.h5 films --out maps --method occlusion --class PNEUMONIA");
  const auto o = std::make_shared<ExplainOptions>();
  bind(*command, o->inference);
  command->app().add_option("PATH", o->paths, "images, or folders of images")->required();
  command->option("--out", o->out, "folder for the pictures and explain.csv")->required()->option_text("DIR");
  command->option("--method", o->method, "grad-cam (by the gradient), occlusion (by covering pieces; slow, assumes nothing)");
  command->option("--layer", o->layer, "grad-cam: explain at the output of this Keras layer (the last one unless given)");
  command->option("--class", o->of_class, "explain this class (the one decided for unless given)");
  command->option("--patch", o->occlusion.patch, "occlusion: side of the patch in pixels of the net's input (0: a seventh of the side)");
  command->option("--stride", o->occlusion.stride, "occlusion: pixels from patch to patch (0: half the patch)");
  command->run = [o] { Explain(*o).run(); };
  return command;
}

}  // namespace ptrain::cli
