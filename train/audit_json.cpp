#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/error.hpp"
#include "train/audit_report.hpp"
#include "train/metrics/evaluation.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kMostListed = 1000;

Json number(double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); }
const Entry& entry(const Audit& a, int64_t i) { return a.manifest->entries[size_t(i)]; }

std::string across(const Audit& a, const Duplicate& d) {
  const Part first = entry(a, d.a).part, second = entry(a, d.b).part;
  return first == second ? "" : std::string(str(first)) + "–" + str(second);
}

Json parts(const Audit& a) {
  const Manifest& m = *a.manifest;
  Json all = Json::object();
  for (const Part part : {Part::train, Part::val, Part::test, Part::all}) {
    const std::vector<int64_t> images = m.of(part);
    if (images.empty()) continue;
    std::set<std::string> patients;
    for (const int64_t i : images) patients.insert(m.entries[size_t(i)].patient);
    const std::vector<int64_t> counts = m.class_counts(images);
    Json classes;
    for (size_t c = 0; c < counts.size(); ++c)
      classes[m.classes[c]] = {{"n", counts[c]}, {"share", double(counts[c]) / double(images.size())}};
    const int64_t positives = counts[size_t(a.positive)];
    all[str(part)] = {{"n", images.size()},
                      {"patients", patients.size()},
                      {"classes", classes},
                      {"sensitivity_if_all_right_ci95", metrics::to_json(metrics::wilson(positives, positives))},
                      {"sensitivity_halfwidth", positives ? number(metrics::wilson(positives / 2, positives).width() / 2) : Json(nullptr)}};
  }
  return all;
}

// Sizes and modes with their counts, most frequent first; and the files that differ from nearly all others.
void put_kinds(Json& j, const Audit& a) {
  std::map<std::string, int64_t> types, modes;
  std::map<std::pair<int64_t, int64_t>, int64_t> sizes;
  int64_t readable = 0;
  Json bad = Json::array(), mislabelled = Json::array(), odd = Json::array();
  for (const FileAudit& f : a.files) {
    if (!f.why_bad.empty()) bad.push_back({{"file", entry(a, f.index).path}, {"why", f.why_bad}});
    if (f.mislabelled) mislabelled.push_back({{"file", entry(a, f.index).path}, {"type", f.type}});
    if (!f.why_bad.empty()) continue;
    ++readable, ++types[f.type], ++modes[f.mode], ++sizes[{f.height, f.width}];
  }
  const auto rare = [&](int64_t n) { return double(n) < 0.01 * double(readable); };
  int64_t common_sizes = 0;
  for (const auto& [size, n] : sizes)
    if (!rare(n)) common_sizes += n;
  const bool sizes_are_regular = double(common_sizes) > 0.95 * double(readable);  // else every size is odd and none is
  for (const FileAudit& f : a.files) {
    if (!f.why_bad.empty() || odd.size() >= kMostListed) continue;
    if (rare(modes[f.mode])) odd.push_back({{"file", entry(a, f.index).path}, {"why", "mode " + f.mode}});
    else if (sizes_are_regular && rare(sizes[{f.height, f.width}]))
      odd.push_back({{"file", entry(a, f.index).path}, {"why", concat("size ", f.height, "x", f.width)}});
    else if (std::max(f.height, f.width) > 4 * std::min(f.height, f.width))
      odd.push_back({{"file", entry(a, f.index).path}, {"why", concat("shape ", f.height, "x", f.width)}});
    else if (std::min(f.height, f.width) < 64)
      odd.push_back({{"file", entry(a, f.index).path}, {"why", concat("small: ", f.height, "x", f.width)}});
    else if (f.contrast < 2) odd.push_back({{"file", entry(a, f.index).path}, {"why", "an empty picture"}});
  }
  std::vector<std::pair<int64_t, std::pair<int64_t, int64_t>>> by_count;
  for (const auto& [size, n] : sizes) by_count.push_back({-n, size});
  std::sort(by_count.begin(), by_count.end());
  Json size_list = Json::array();
  for (const auto& [n, size] : by_count)
    if (size_list.size() < 20) size_list.push_back({{"height", size.first}, {"width", size.second}, {"n", -n}});
  j["bad"] = bad, j["types"] = types, j["modes"] = modes, j["sizes"] = size_list, j["different_sizes"] = sizes.size(),
  j["mislabelled"] = mislabelled, j["odd"] = odd;
}

Json statistics_of(const Audit& a) {
  Json all = Json::object();
  for (size_t c = 0; c < a.manifest->classes.size(); ++c) {
    Json one;
    for (size_t k = 0; k < kTrivialFeatures.size(); ++k) {
      statistics::Sum sum, squares;
      int64_t n = 0;
      for (const FileAudit& f : a.files)
        if (f.why_bad.empty() && entry(a, f.index).label == int32_t(c) && entry(a, f.index).part != Part::test) sum.add(f.features[k]), ++n;
      if (n == 0) continue;
      const double mean = sum.value() / double(n);
      for (const FileAudit& f : a.files)
        if (f.why_bad.empty() && entry(a, f.index).label == int32_t(c) && entry(a, f.index).part != Part::test)
          squares.add((f.features[k] - mean) * (f.features[k] - mean));
      one[kTrivialFeatures[k]] = {{"mean", mean}, {"sd", n > 1 ? Json(std::sqrt(squares.value() / double(n - 1))) : Json(nullptr)}};
    }
    all[a.manifest->classes[c]] = one;
  }
  return all;
}

Json shortcut(const Audit& a) {
  if (a.shortcut.n == 0) return nullptr;
  Json weights = Json::object();
  if (a.manifest->classes.size() == 2)
    for (size_t k = 0; k < kTrivialFeatures.size(); ++k) weights[kTrivialFeatures[k]] = a.shortcut.weights[k];
  return {{"auc", number(a.shortcut.auc.auc)},
          {"auc_ci95", metrics::to_json(a.shortcut.auc.wald)},
          {"n", a.shortcut.n},
          {"folds", a.shortcut.folds},
          {"weights", weights},
          {"note", "logistic regression on eight trivial features, cross-validated by patient; weights of standardised features"}};
}

}  // namespace

Json to_json(const Audit& a) {
  Json j{{"images", a.files.size()}, {"classes", a.manifest->classes}, {"parts", parts(a)}};
  put_kinds(j, a);
  Json exact = Json::array(), near = Json::array(), shared = Json::array(), priors = Json::array();
  for (const Duplicate& d : a.exact)
    if (exact.size() < kMostListed)
      exact.push_back({{"a", entry(a, d.a).path},
                       {"b", entry(a, d.b).path},
                       {"across", across(a, d)},
                       {"same_class", entry(a, d.a).label == entry(a, d.b).label}});
  for (const Duplicate& d : a.near)
    if (near.size() < kMostListed)
      near.push_back({{"a", entry(a, d.a).path},
                      {"b", entry(a, d.b).path},
                      {"distance", d.distance},
                      {"across", across(a, d)},
                      {"same_patient", entry(a, d.a).patient == entry(a, d.b).patient},
                      {"same_class", entry(a, d.a).label == entry(a, d.b).label}});
  for (const SharedPatient& s : a.shared_patients) {
    Json in = Json::array();
    for (const Part p : s.parts) in.push_back(str(p));
    if (shared.size() < kMostListed) shared.push_back({{"patient", s.patient}, {"parts", in}});
  }
  for (const PriorDifference& d : a.priors) {
    Json shares = Json::object();
    const std::vector<int64_t> images = a.manifest->of(d.part), counts = a.manifest->class_counts(images);
    for (size_t c = 0; c < counts.size(); ++c) shares[a.manifest->classes[c]] = double(counts[c]) / double(images.size());
    priors.push_back({{"part", str(d.part)}, {"chi_square", d.chi_square}, {"p", d.p}, {"shares", shares}});
  }
  j.update({{"duplicates", exact},
            {"duplicates_total", a.exact.size()},
            {"near_duplicates", near},
            {"near_duplicates_total", a.near.size()},
            {"patients_across", shared},
            {"prior_shift", priors},
            {"statistics", statistics_of(a)},
            {"features", kTrivialFeatures},
            {"shortcut", shortcut(a)},
            {"notes", a.notes},
            {"leaks", a.leaks}});
  return j;
}

}  // namespace ptrain
