#include "tools/ptrain/report_pictures.hpp"

#include <cmath>
#include <numeric>

#include "data/csv.hpp"
#include "data/encode.hpp"
#include "data/file.hpp"
#include "train/decided_class.hpp"
#include "train/explain/grad_cam.hpp"
#include "train/report_data.hpp"

namespace ptrain::cli {
namespace {

// A file of the data set. What a table calls `../x` or `/x` is none.
bool inside(const std::string& path) {
  const std::filesystem::path p(path);
  return !path.empty() && p.is_relative() && std::none_of(p.begin(), p.end(), [](const auto& part) { return part == ".."; });
}

// The images of a split.csv in the order of the manifest, which numbers the draws of the augmentation.
struct SplitRow {
  std::string file, label, patient, part;
};
std::vector<SplitRow> read_rows(const std::filesystem::path& path) {
  const std::vector<uint8_t> bytes = read_bytes(path, "reading", int64_t{1} << 28);
  const std::vector<CsvRow> rows = parse_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
  std::vector<SplitRow> out;
  if (rows.empty()) return out;
  const size_t file = csv_column(rows[0], "file", path.string()), label = csv_column(rows[0], "label", path.string()),
               patient = csv_column(rows[0], "patient", path.string()), part = csv_column(rows[0], "part", path.string());
  for (size_t i = 1; i < rows.size(); ++i) out.push_back({rows[i][file], rows[i][label], rows[i][patient], rows[i][part]});
  return out;
}

class Painter {
 public:
  Painter(report::Run& run, const PictureOptions& o)
      : run_(run),
        o_(o),
        root_(o.data.empty() ? run.data_root() : std::filesystem::path(o.data)) {
    if (root_.empty() || !std::filesystem::is_directory(root_))
      fail(ErrorKind::data, "the images are not at ", root_.empty() ? "a known place" : root_.string(), "; say where with --data DIR");
    loaded_ = std::make_unique<LoadedModel>(
        InferenceOptions{.model = run.file(report_files::kModel).string(), .device = o.device, .threads = o.threads, .quiet = o.quiet});
    if (loaded_->model().spec.classes != run.classes()) fail(ErrorKind::data, "the model knows other classes than the run");
    if (std::filesystem::exists(run.file(report_files::kSplit))) rows_ = read_rows(run.file(report_files::kSplit));
  }

  report::Pictures paint() {
    if (!run_.validation && !run_.test) predict_validation();
    report::Pictures pictures;
    samples(pictures);
    mistakes(pictures);
    return pictures;
  }

 private:
  const ModelSpec& spec() const { return loaded_->model().spec; }
  const std::string& class_name(int32_t label) const { return spec().classes[size_t(label)]; }

  int32_t label_of(const std::string& name) const {
    const auto it = std::find(spec().classes.begin(), spec().classes.end(), name);
    if (it == spec().classes.end()) fail(ErrorKind::data, "the class '", name, "' of split.csv is none of the model's");
    return int32_t(it - spec().classes.begin());
  }

  // The readable ones among these files, at the size of the net's input.
  struct Films {
    Manifest manifest;
    std::unique_ptr<ImageCache> cache;
  };
  Films open(std::vector<Entry> entries) const {
    Films films;
    films.manifest.root = root_;
    films.manifest.classes = spec().classes;
    for (Entry& e : entries) {
      if (!inside(e.path)) fail(ErrorKind::data, "the run names the image '", e.path, "', which is not below the data folder");
      films.manifest.entries.push_back(std::move(e));
    }
    std::vector<int64_t> all(films.manifest.entries.size());
    std::iota(all.begin(), all.end(), int64_t{0});
    const CacheOptions options{
        .h = spec().height, .w = spec().width, .threads = loaded_->threads(), .bad_images = BadImages::skip, .free = {}, .progress = {}};
    films.cache = std::make_unique<ImageCache>(plan_cache(films.manifest, all, options), films.manifest, all,
                                               resizer_for(*loaded_->memory()), options);
    return films;
  }

  void predict_validation() {
    std::vector<Entry> entries;
    for (const SplitRow& row : rows_)
      if (row.part == "val") entries.push_back({.path = row.file, .label = label_of(row.label), .patient = row.patient});
    if (entries.empty()) return;
    const Films films = open(std::move(entries));
    if (films.cache->indices().empty()) fail(ErrorKind::data, "none of the validation images can be read below ", root_.string());
    report::PredictionTable t{.predictions = loaded_->predict(films.manifest, *films.cache, films.cache->indices(), "predict", o_.quiet),
                              .files = {},
                              .decided = {}};
    const size_t classes = spec().classes.size();
    for (size_t i = 0; i < films.cache->indices().size(); ++i) {
      t.files.push_back(films.manifest.entries[size_t(films.cache->indices()[i])].path);
      t.decided.push_back(decided_class(spec(), std::span(t.predictions.probabilities).subspan(i * classes, classes)));
    }
    run_.validation = std::move(t);
  }

  std::string augmentation() const {
    if (const std::string fine = report::text(run_.all, "/fine_tune/augment"); !fine.empty()) return fine;
    for (const char* key : {"/config/fine-tune-augment", "/config/augment"}) {
      std::string name = report::text(run_.all, key);
      std::erase(name, '"');
      if (!name.empty()) return name;
    }
    return "none";
  }

  // The image as a draw of the augmentation shows it, without the net's preprocessing.
  Image drawn(const ImageView& view, const AugmentOptions& options, const AugmentImage& draw) const {
    const AugmentShape shape{.n = 1,
                             .h = view.h,
                             .w = view.w,
                             .c = view.c,
                             .fill = options.fill,
                             .fill_value = options.fill_value,
                             .interpolation = options.interpolation};
    std::vector<float> values(size_t(view.h * view.w * 3));
    const std::shared_ptr<Backend> host = resizer_for(*loaded_->memory());  // pictures are made where they are written
    host->augment(*host->make_exec(1), shape, {&draw, 1}, {const_cast<uint8_t*>(view.pixels), DType::uint8, view.h * view.w * view.c},
                  Preprocess{}, {values.data(), DType::float32, int64_t(values.size())});
    Image image{view.h, view.w, view.c, std::vector<uint8_t>(size_t(view.h * view.w * view.c))};
    for (size_t i = 0; i < image.pixels.size(); ++i)
      image.pixels[i] = uint8_t(std::lround(std::clamp(values[view.c == 1 ? 3 * i : i], 0.f, 255.f)));
    return image;
  }

  // One training image of each class.
  void samples(report::Pictures& pictures) {
    const std::string name = augmentation();
    const AugmentOptions options = augment_preset(name);
    std::vector<Entry> entries;
    std::vector<int64_t> numbers;
    for (size_t c = 0; c < std::min<size_t>(spec().classes.size(), 6); ++c)
      for (size_t i = 0; i < rows_.size(); ++i)
        if (rows_[i].part == "train" && rows_[i].label == spec().classes[c]) {
          entries.push_back({.path = rows_[i].file, .label = int32_t(c), .patient = ""});
          numbers.push_back(int64_t(i));
          break;
        }
    if (entries.empty()) return;
    const Films films = open(entries);
    uint64_t seed = 0;
    if (const std::string text = report::text(run_.all, "/config/seed");
        !text.empty() && text.find_first_not_of("0123456789") == std::string::npos && text.size() < 19)
      seed = std::stoull(text);
    for (const int64_t i : films.cache->indices()) {
      const ImageView view = films.cache->get(i);
      report::AugmentedRow row{.file = entries[size_t(i)].path, .of_class = class_name(entries[size_t(i)].label), .jpegs = {}};
      row.jpegs.push_back(encode_jpeg(drawn(view, options, {})));
      for (int64_t epoch = 0; epoch < o_.draws; ++epoch)
        row.jpegs.push_back(
            encode_jpeg(drawn(view, options, draw_augmentation(options, seed, uint32_t(epoch), numbers[size_t(i)], view.h, view.w))));
      pictures.augmented.push_back(std::move(row));
    }
    pictures.augmentation = name;
  }

  // The wrong decisions with the highest probability.
  void mistakes(report::Pictures& pictures) {
    const report::PredictionTable* table = run_.test ? &*run_.test : run_.validation ? &*run_.validation : nullptr;
    if (!table) return;
    const metrics::Predictions& p = table->predictions;
    const auto sure = [&](size_t i) { return p.probabilities[i * p.classes.size() + size_t(table->decided[i])]; };
    std::vector<size_t> wrong;
    for (size_t i = 0; i < p.size(); ++i)
      if (table->decided[i] != p.labels[i]) wrong.push_back(i);
    std::stable_sort(wrong.begin(), wrong.end(), [&](size_t a, size_t b) { return sure(a) > sure(b); });
    wrong.resize(std::min(wrong.size(), size_t(std::max<int64_t>(0, o_.mistakes))));
    if (wrong.empty()) return;
    std::vector<Entry> entries;
    for (const size_t i : wrong) entries.push_back({.path = table->files[i], .label = p.labels[i], .patient = ""});
    const Films films = open(std::move(entries));
    const GradCam cam(loaded_->model());
    const ImageSource source = plain_source(loaded_->model(), *films.cache);
    const std::vector<int64_t>& readable = films.cache->indices();
    pictures.mistakes.resize(readable.size());
    loaded_->workers().run(int64_t(readable.size()), [&](int64_t k, Worker& worker) {
      const int64_t index = readable[size_t(k)];
      const size_t i = wrong[size_t(index)];
      Tape tape;
      Context c{loaded_->memory()->backend(), *worker.exec, loaded_->memory(), tape};
      const Tensor x = c.tensor(loaded_->model().input(1), loaded_->compute());
      source({&index, 1}, c, x.buffer());
      const GradCam::Result found = cam(*worker.exec, x, [&](std::span<const double>) { return table->decided[i]; });
      const ImageView view = films.cache->get(index);
      const Image film{view.h, view.w, view.c, std::vector<uint8_t>(view.pixels, view.pixels + view.h * view.w * view.c)};
      pictures.mistakes[size_t(k)] = {.file = table->files[i],
                                      .part = run_.test ? "test" : "validation",
                                      .patient = p.patients.empty() ? "" : p.patients[i],
                                      .label = class_name(p.labels[i]),
                                      .decided = class_name(table->decided[i]),
                                      .probability = sure(i),
                                      .film = encode_jpeg(film),
                                      .overlay = encode_jpeg(overlay(film, found.map))};
    });
  }

  report::Run& run_;
  const PictureOptions& o_;
  std::filesystem::path root_;
  std::unique_ptr<LoadedModel> loaded_;
  std::vector<SplitRow> rows_;
};

}  // namespace

report::Pictures make_pictures(report::Run& run, const PictureOptions& options) {
  try {
    return Painter(run, options).paint();
  } catch (const Error& e) {
    report::Pictures none;
    none.missing = e.what();
    return none;
  }
}

std::filesystem::path make_report(const std::filesystem::path& folder, const PictureOptions& options) {
  report::Run run = report::read_run(folder);
  report::Pictures pictures;
  if (options.pictures) pictures = make_pictures(run, options);
  else pictures.missing = "the report was made without them.";
  if (options.pictures && !pictures.missing.empty()) std::fprintf(stderr, "without pictures: %s\n", pictures.missing.c_str());
  report::write_report(run, pictures);
  return folder / "report.html";
}

}  // namespace ptrain::cli
