#include "tools/ptrain/training.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <set>

#include <fmt/ranges.h>

#include "data/data_hash.hpp"
#include "data/file.hpp"
#include "data/listing.hpp"
#include "train/report_data.hpp"

namespace ptrain::cli {
namespace {

// Options that may differ from the interrupted run's: they change no result.
bool may_differ(const std::string& key) {
  for (const char* k : {"threads", "json", "quiet", "epochs", "fine-tune-epochs", "cache", "cache-memory", "out", "data", "override-lock"})
    if (key == k) return true;
  return false;
}

std::map<std::string, std::string> settings(const std::string& toml) {
  std::map<std::string, std::string> values;
  std::istringstream in(toml);
  for (std::string line; std::getline(in, line);)
    if (const size_t equals = line.find(" = "); equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 3);
  return values;
}

}  // namespace

Say to_screen(bool quiet) {
  return [quiet](const std::string& line) {
    if (!quiet) std::fprintf(stderr, "%s\n", line.c_str());
  };
}

void same_settings(const std::string& before, const std::string& now) {
  const auto old = settings(before);
  for (const auto& [key, value] : settings(now))
    if (const auto it = old.find(key); it != old.end() && it->second != value && !may_differ(key))
      fail(ErrorKind::usage, "resuming: --", key, " was ", it->second, " when the run began and is ", value,
           " now\n  leave it out: --resume takes the options of the run");
}

int64_t image_side(const TrainOptions& o, const std::string& net) { return o.image_size > 0 ? o.image_size : find_net(net).input_size; }

ModelSpec model_spec(const TrainOptions& o, const std::string& net, const Manifest& manifest) {
  ModelSpec s{.net = find_net(net).name, .classes = manifest.classes};
  s.height = s.width = image_side(o, net);
  if (o.dense.size() != o.dropout.size())
    fail(ErrorKind::usage, "--dense has ", o.dense.size(), " layers, --dropout ", o.dropout.size(), " rates: as many are needed");
  for (const int64_t units : o.dense)
    if (units < 1 || units > 1 << 16) fail(ErrorKind::usage, "--dense: ", units, " units are not possible");
  for (const double rate : o.dropout)
    if (!(rate >= 0 && rate < 1)) fail(ErrorKind::usage, "--dropout must lie in [0, 1), not ", rate);
  if (!(o.l2 >= 0)) fail(ErrorKind::usage, "--l2 must not be negative");
  s.head = {.dense = o.dense, .dropout = {o.dropout.begin(), o.dropout.end()}, .l2 = o.l2, .classes = int64_t(manifest.classes.size())};
  s.positive = positive_class(o.positive, manifest.classes);
  return s;
}

Split make_split(const TrainOptions& o, Manifest& manifest) {
  const Split split =
      o.split.empty() ? split_by_patient(manifest, {.val_fraction = o.val_fraction, .seed = o.seed}) : read_split(o.split, manifest);
  return o.split.empty() || o.fraction < 1 ? take_fraction(manifest, split, o.fraction, o.seed) : split;
}

Split whole_split(const TrainOptions& o, Manifest& manifest, const std::filesystem::path& out) {
  TrainOptions all = o;
  all.fraction = 1;
  if (o.resume && std::filesystem::exists(out / "split.csv")) all.split = (out / "split.csv").string();
  return make_split(all, manifest);
}

std::string read_text(const std::filesystem::path& path, const std::string& doing) {
  const std::vector<uint8_t> bytes = read_bytes(path, doing, int64_t{1} << 30);
  return {bytes.begin(), bytes.end()};
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

std::vector<std::string> keep_test_apart(Manifest& manifest, Split& split, bool override_lock, int threads, const Say& say) {
  const std::vector<int64_t> test = split.of(Part::test);
  if (test.empty()) return {};
  std::vector<int64_t> seen = split.of(Part::train);
  const std::vector<int64_t> val = split.of(Part::val);
  seen.insert(seen.end(), val.begin(), val.end());
  const std::vector<std::string> hashes = hash_files(manifest, test, threads), seen_hashes = hash_files(manifest, seen, threads);
  std::map<std::string, int64_t> test_file;
  for (size_t i = 0; i < test.size(); ++i) test_file.emplace(hashes[i], test[i]);
  const std::set<std::string> patients(split.test_patients_in_training.begin(), split.test_patients_in_training.end());

  std::vector<std::string> leaks;
  std::vector<int64_t> leaking;
  for (size_t i = 0; i < seen.size(); ++i) {
    const Entry& entry = manifest.entries[size_t(seen[i])];
    if (const auto it = test_file.find(seen_hashes[i]); it != test_file.end())
      leaks.push_back(entry.path + " has the same bytes as " + manifest.entries[size_t(it->second)].path);
    else if (patients.contains(entry.patient))
      leaks.push_back(entry.path + " is of patient " + entry.patient + ", whom the test part has too");
    else continue;
    leaking.push_back(seen[i]);
  }
  if (leaks.empty()) return leaks;
  const std::string what =
      fmt::format("{} images for training and validation are in the test part as well, or of its patients", leaks.size());
  if (!override_lock)
    fail(ErrorKind::leak, "preparing ", manifest.root.string(), ": ", what, listing(leaks),
         "\n  a model that has seen the test part cannot be tested on it: move them out of the folder, or give --override-lock, which "
         "leaves them out of the training and records it");
  say("WARNING: --override-lock: " + what + "; they are left out of training and validation" + listing(leaks));
  leave_out(manifest, split, leaking);
  return leaks;
}

std::vector<std::string> known_to_model(const std::filesystem::path& model, const Manifest& manifest, const std::vector<int64_t>& images) {
  const std::filesystem::path split = model.parent_path() / report_files::kSplit;
  if (!std::filesystem::exists(split)) return {};
  const std::set<std::string> patients = trained_patients(split);
  std::vector<std::string> known;
  for (const int64_t i : images)
    if (const Entry& e = manifest.entries[size_t(i)]; patients.contains(e.patient)) known.push_back(e.path + " is of patient " + e.patient);
  return known;
}

std::unique_ptr<ImageCache> fill_cache(const TrainOptions& o, int64_t side, const Manifest& manifest, const std::vector<int64_t>& images,
                                       const std::shared_ptr<Memory>& memory, int threads, const Say& say) {
  const CacheOptions options = cache_options(o.data, side, side, threads);
  const CachePlan plan = plan_cache(manifest, images, options);
  say(str(plan));
  auto cache = std::make_unique<ImageCache>(plan, manifest, images, resizer_for(*memory), options);
  for (const ImageCache::Bad& bad : cache->bad()) say("skipped: " + bad.why);
  return cache;
}

FitData fit_data(const Manifest& manifest, const Split& split, const ImageCache& cache) {
  const auto readable = [&](const std::vector<int64_t>& images) {
    std::vector<int64_t> good;
    for (const int64_t i : images)
      if (std::none_of(cache.bad().begin(), cache.bad().end(), [&](const ImageCache::Bad& b) { return b.index == i; })) good.push_back(i);
    return good;
  };
  std::vector<std::string> patients;
  for (const Entry& e : manifest.entries) patients.push_back(e.patient);
  FitData data{cache, readable(split.of(Part::train)), readable(split.of(Part::val)), std::move(patients)};
  if (data.train.empty() || data.val.empty()) fail(ErrorKind::data, "no readable images are left to train or to validate with");
  return data;
}

std::string describe(const Manifest& manifest, const std::vector<int64_t>& images) {
  const std::vector<int64_t> counts = manifest.class_counts(images);
  std::vector<std::string> classes;
  for (size_t c = 0; c < counts.size(); ++c) classes.push_back(fmt::format("{} {}", manifest.classes[c], counts[c]));
  return fmt::format("{} images ({})", images.size(), fmt::join(classes, ", "));
}

void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

int64_t peak_memory_megabytes() {
  std::ifstream status("/proc/self/status");  // VmHWM can be reset, ru_maxrss cannot
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) / 1024;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

}  // namespace ptrain::cli
