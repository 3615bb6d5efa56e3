#include "train/audit_report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "train/metrics/interval.hpp"

namespace ptrain {
namespace {

bool is_test(const Audit& a, int64_t i) { return a.manifest->entries[size_t(i)].part == Part::test; }
const std::string& path_of(const Audit& a, int64_t i) { return a.manifest->entries[size_t(i)].path; }
std::string plural(size_t n, const char* what, const char* one = "", const char* many = "") {
  return fmt::format("{} {}{}{}", n, what, n == 1 ? "" : "s", n == 1 ? one : many);
}

void find_leaks(Audit& a) {
  for (const Duplicate& d : a.exact)
    if (is_test(a, d.a) != is_test(a, d.b)) a.leaks.push_back(path_of(a, d.a) + " and " + path_of(a, d.b) + " have the same bytes");
  for (const SharedPatient& s : a.shared_patients)
    if (std::count(s.parts.begin(), s.parts.end(), Part::test)) {
      std::string others;
      for (const Part p : s.parts)
        if (p != Part::test) others += (others.empty() ? "" : " and in ") + std::string(str(p));
      a.leaks.push_back("patient " + s.patient + " is in test and in " + others);
    }
  for (const Duplicate& d : a.near)
    if (is_test(a, d.a) != is_test(a, d.b) && a.manifest->entries[size_t(d.a)].patient != a.manifest->entries[size_t(d.b)].patient)
      a.leaks.push_back(fmt::format("{} and {} show the same picture ({} of 256 bits of their fingerprints differ)", path_of(a, d.a),
                                    path_of(a, d.b), d.distance));
}

void note_parts(Audit& a) {
  const Manifest& m = *a.manifest;
  for (const Part part : {Part::val, Part::test}) {
    const std::vector<int64_t> images = m.of(part);
    if (images.empty()) continue;
    const std::vector<int64_t> counts = m.class_counts(images);
    const int64_t fewest = *std::min_element(counts.begin(), counts.end());
    if (images.size() >= 100) continue;
    const metrics::Interval best = metrics::wilson(fewest, fewest),
                            half = metrics::wilson(int64_t(images.size()) / 2, int64_t(images.size()));
    a.notes.push_back(
        fmt::format("{}/ has {} images, {} of its rarest class: even if all of these were decided rightly, the 95 % interval of that share "
                    "would be [{:.3f}, {:.3f}], and an accuracy "
                    "there is known to ±{:.2f} at worst: useless for choosing anything{}",
                    str(part), images.size(), fewest, best.low, best.high, half.width() / 2,
                    part == Part::val ? "; it is pooled with the training part, and validation images are drawn by patient" : ""));
  }
  const std::vector<int64_t> training = m.of(Part::train).empty() ? m.of(Part::all) : m.of(Part::train);
  const std::vector<int64_t> counts = m.class_counts(training);
  const int64_t least = *std::min_element(counts.begin(), counts.end()), most = *std::max_element(counts.begin(), counts.end());
  if (least > 0 && double(most) / double(least) >= 1.5)
    a.notes.push_back(fmt::format("the classes are unequal: {:.1f} {} for one {}; class weights or balanced accuracy allow for it",
                                  double(most) / double(least),
                                  m.classes[size_t(std::max_element(counts.begin(), counts.end()) - counts.begin())],
                                  m.classes[size_t(std::min_element(counts.begin(), counts.end()) - counts.begin())]));
  for (const PriorDifference& d : a.priors)
    if (d.p < 0.001)
      a.notes.push_back(
          fmt::format("prior shift: the classes in {}/ have other shares than in training (p = {:.2g}): thresholds and probabilities "
                      "learnt on one do not hold on the other without a correction (ptrain evaluate --prior-shift)",
                      str(d.part), d.p));
}

void write_notes(Audit& a) {
  size_t bad = 0, mislabelled = 0;
  for (const FileAudit& f : a.files) bad += !f.why_bad.empty(), mislabelled += f.mislabelled;
  if (!a.leaks.empty())
    a.notes.push_back(plural(a.leaks.size(), "way") + " in which the test part is known to the others: results on it would be too good");
  if (bad) a.notes.push_back(plural(bad, "file") + " cannot be read; --bad-images skip leaves them out");
  size_t contradicting = 0;
  for (const std::vector<Duplicate>* list : {&a.exact, &a.near})
    for (const Duplicate& d : *list) contradicting += a.manifest->entries[size_t(d.a)].label != a.manifest->entries[size_t(d.b)].label;
  if (contradicting)
    a.notes.push_back(plural(contradicting, "pair", " of duplicates has", " of duplicates have") +
                      " different labels: one of each must be wrong");
  if (!a.exact.empty()) a.notes.push_back(plural(a.exact.size(), "file", " has", " have") + " the same bytes as another one");
  if (!a.near.empty()) a.notes.push_back(plural(a.near.size(), "pair", " of files shows", " of files show") + " nearly the same picture");
  if (!a.shared_patients.empty())
    a.notes.push_back(plural(a.shared_patients.size(), "patient", " is", " are") +
                      " in more than one part; splits are drawn by patient, so training and validation stay apart");
  if (mislabelled)
    a.notes.push_back(plural(mislabelled, "file", " has", " have") +
                      " a name that says another type than the content; the content is what counts");
  note_parts(a);
  if (a.shortcut.n > 0)
    a.notes.push_back(fmt::format(
        "shortcut baseline: size, shape, brightness and border alone reach AUC {:.3f}{}: a net must be read against this, since it can see "
        "them too",
        a.shortcut.auc.auc,
        std::isnan(a.shortcut.auc.wald.low) ? "" : fmt::format(" [{:.3f}, {:.3f}]", a.shortcut.auc.wald.low, a.shortcut.auc.wald.high)));
}

}  // namespace

std::vector<int64_t> Audit::images_of(Part part) const { return manifest->of(part); }

Audit make_audit(const Manifest& manifest, int positive, int threads) {
  Audit a{.manifest = &manifest, .positive = positive};
  a.files = audit_files(manifest, threads);
  a.exact = exact_duplicates(a.files);
  a.near = near_duplicates(a.files, kNearBits, threads);
  a.shared_patients = patients_across(manifest);
  const std::vector<int64_t> training = manifest.class_counts(manifest.of(Part::train));
  for (const Part part : {Part::val, Part::test})
    if (!manifest.of(part).empty() && !manifest.of(Part::train).empty())
      a.priors.push_back(prior_difference(part, manifest.class_counts(manifest.of(part)), training));

  std::vector<double> features;
  std::vector<int32_t> labels;
  std::vector<std::string> patients;
  for (const FileAudit& f : a.files) {
    const Entry& e = manifest.entries[size_t(f.index)];
    if (e.part == Part::test || !f.why_bad.empty()) continue;
    features.insert(features.end(), f.features.begin(), f.features.end());
    labels.push_back(e.label), patients.push_back(e.patient);
  }
  if (!labels.empty()) a.shortcut = shortcut_baseline(features, labels, patients, int(manifest.classes.size()), positive);
  find_leaks(a);
  write_notes(a);
  return a;
}

}  // namespace ptrain
