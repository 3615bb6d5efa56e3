// ptrain predict: the class of images, and the probability of each class.
#include <iostream>

#include "data/csv.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/inference.hpp"

namespace ptrain::cli {
namespace {

struct PredictOptions {
  InferenceOptions inference;
  std::vector<std::string> paths;
  bool csv = false;
};

// The images that the arguments name: files as they are, folders with all that lies in them.
Manifest images_of(const std::vector<std::string>& paths) {
  Manifest manifest;
  for (const std::string& path : paths) {
    if (std::filesystem::is_directory(path)) {
      for (const std::string& file : list_images(path)) manifest.entries.push_back({.path = (std::filesystem::path(path) / file).string(), .label = 0, .patient = ""});
    } else {
      manifest.entries.push_back({.path = path, .label = 0, .patient = ""});
    }
  }
  if (manifest.entries.empty()) fail(ErrorKind::data, "predicting: no images in the given folders");
  return manifest;
}

// Of two classes the positive one is chosen from the model's threshold on; of more the most likely.
size_t chosen_class(const ModelSpec& spec, std::span<const double> p) {
  if (p.size() == 2) return p[size_t(spec.positive)] >= spec.threshold ? size_t(spec.positive) : size_t(1 - spec.positive);
  return size_t(std::max_element(p.begin(), p.end()) - p.begin());
}

void run(const PredictOptions& o) {
  const Manifest manifest = images_of(o.paths);
  LoadedModel loaded(o.inference);
  const ModelSpec& spec = loaded.model().spec;
  std::vector<int64_t> all(manifest.entries.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = int64_t(i);
  CacheOptions options{.h = spec.height, .w = spec.width, .threads = loaded.threads(), .bad_images = BadImages::skip, .free = {}, .progress = {}};
  const ImageCache cache(plan_cache(manifest, all, options), manifest, all, resizer_for(*loaded.memory()), options);
  const metrics::Predictions p = loaded.predict(manifest, cache, cache.indices(), "predict", o.inference.quiet || all.size() < 100);

  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  if (o.csv) {
    std::vector<std::string> header{"path", "class"};
    header.insert(header.end(), spec.classes.begin(), spec.classes.end());
    std::cout << csv_line(header);
  }
  for (size_t i = 0; i < cache.indices().size(); ++i) {
    const std::string& path = manifest.entries[size_t(cache.indices()[i])].path;
    const std::span row = std::span(p.probabilities).subspan(i * spec.classes.size(), spec.classes.size());
    const std::string& chosen = spec.classes[chosen_class(spec, row)];
    if (o.inference.json) {
      nlohmann::ordered_json probabilities;
      for (size_t c = 0; c < row.size(); ++c) probabilities[spec.classes[c]] = row[c];
      json.push_back({{"path", path}, {"class", chosen}, {"probabilities", probabilities}});
    } else if (o.csv) {
      std::vector<std::string> fields{path, chosen};
      for (const double v : row) fields.push_back(fmt::format("{}", v));
      std::cout << csv_line(fields);
    } else {
      std::cout << path << "  " << chosen;
      for (size_t c = 0; c < row.size(); ++c) std::cout << "  " << spec.classes[c] << fmt::format(" {:.4f}", row[c]);
      std::cout << "\n";
    }
  }
  if (o.inference.json) std::cout << json.dump(2) << "\n";
  std::cout.flush();
  if (cache.bad().empty()) return;
  std::string text = fmt::format("predicting: {} of {} images could not be read", cache.bad().size(), all.size());
  for (const ImageCache::Bad& bad : cache.bad()) text += "\n  " + bad.why;
  fail(ErrorKind::data, text);
}

}  // namespace

std::unique_ptr<Command> predict_command(CLI::App& program) {
  auto command = std::make_unique<Command>(program, "predict", "say of images which class they are",
                                           "  ptrain predict --model run1/best.h5 film.jpeg\n"
                                           "  ptrain predict --model run1/best.h5 --csv new_films > predictions.csv");
  const auto o = std::make_shared<PredictOptions>();
  bind(*command, o->inference);
  command->app().add_option("PATH", o->paths, "images, or folders of images")->required();
  command->flag("--csv", o->csv, "write CSV to stdout: path, class, the probability of each class");
  command->run = [o] { run(*o); };
  return command;
}

}  // namespace ptrain::cli
