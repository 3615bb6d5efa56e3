#include "data/split.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "data/split_check.hpp"
#include "kernels/error.hpp"
#include "kernels/philox.hpp"

namespace ptrain {
namespace {

struct Patient {
  std::string name;
  std::vector<int64_t> images;
  int32_t stratum = 0;  // the rarest of its classes
};

// The place of a patient in the random order.
uint64_t random_key(const std::string& name, Purpose purpose, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;
  const Philox4 r = philox(seed, {{uint32_t(purpose) << 24, 0, uint32_t(hash), uint32_t(hash >> 32)}});
  return uint64_t(r.v[0]) << 32 | r.v[1];
}

// The patients of these images by class, each class in its random order.
std::vector<std::vector<Patient>> strata(const Manifest& manifest, const std::vector<int64_t>& images, Purpose purpose, uint64_t seed) {
  std::map<std::string, Patient> patients;
  for (int64_t i : images) {
    const Entry& entry = manifest.entries[size_t(i)];
    Patient& patient = patients[entry.patient];
    patient.name = entry.patient;
    patient.images.push_back(i);
  }
  const std::vector<int64_t> counts = manifest.class_counts(images);
  std::vector<std::vector<Patient>> classes(manifest.classes.size());
  for (auto& [name, patient] : patients) {
    const auto label = [&](int64_t i) { return manifest.entries[size_t(i)].label; };
    const auto rarer = [&](int64_t a, int64_t b) {
      return std::pair(counts[size_t(label(a))], label(a)) < std::pair(counts[size_t(label(b))], label(b));
    };
    patient.stratum = label(*std::min_element(patient.images.begin(), patient.images.end(), rarer));
    classes[size_t(patient.stratum)].push_back(std::move(patient));
  }
  for (std::vector<Patient>& members : classes)
    std::sort(members.begin(), members.end(), [&](const Patient& a, const Patient& b) {
      return std::pair(random_key(a.name, purpose, seed), a.name) < std::pair(random_key(b.name, purpose, seed), b.name);
    });
  return classes;
}

// How many of the first patients hold the number of images nearest to `wanted`; of two that are equally near the smaller. As `wanted`
// grows the result does not shrink, so smaller selections lie within larger ones.
size_t nearest_prefix(const std::vector<Patient>& patients, double wanted) {
  size_t best = 0;
  double have = 0, error = wanted;
  for (size_t k = 0; k < patients.size(); ++k) {
    have += double(patients[k].images.size());
    if (std::fabs(have - wanted) < error) best = k + 1, error = std::fabs(have - wanted);
  }
  return best;
}

double images_of(const std::vector<Patient>& patients) {
  double n = 0;
  for (const Patient& p : patients) n += double(p.images.size());
  return n;
}

void divide(const Manifest& manifest, const std::vector<int64_t>& pool, const SplitOptions& options, Split& split) {
  const std::vector<int64_t> counts = manifest.class_counts(pool);
  std::vector<std::set<std::string>> patients(manifest.classes.size());
  for (int64_t i : pool) patients[size_t(manifest.entries[size_t(i)].label)].insert(manifest.entries[size_t(i)].patient);
  for (size_t c = 0; c < counts.size(); ++c)
    if (patients[c].size() < 2)
      fail(ErrorKind::data, "splitting ", manifest.root.string(), " into training and validation: class ", manifest.classes[c], " has ",
           counts[c], counts[c] == 1 ? " image" : " images", " of ", patients[c].size(), patients[c].size() == 1 ? " patient" : " patients",
           "; at least two patients a class are needed, since a patient cannot be in both; add images, or say with --group-regex or "
           "--group-csv ",
           "which images are of one patient");
  for (const std::vector<Patient>& members : strata(manifest, pool, Purpose::split, options.seed)) {
    if (members.empty()) continue;
    const size_t nearest = nearest_prefix(members, options.val_fraction * images_of(members));
    const size_t take = members.size() == 1 ? 0 : std::clamp<size_t>(nearest, 1, members.size() - 1);
    for (size_t k = 0; k < members.size(); ++k)
      for (int64_t i : members[k].images) split.parts[size_t(i)] = k < take ? Part::val : Part::train;
  }
}

// A val folder that is large enough: its patients leave the training part.
void keep_given_val(const Manifest& manifest, Split& split) {
  std::set<std::string> in_val;
  for (size_t i = 0; i < split.parts.size(); ++i)
    if (split.parts[i] == Part::val) in_val.insert(manifest.entries[i].patient);
  int64_t dropped = 0;
  for (size_t i = 0; i < split.parts.size(); ++i)
    if (split.parts[i] == Part::train && in_val.contains(manifest.entries[i].patient)) split.parts[i] = Part::unused, ++dropped;
  if (dropped > 0) split.notes.push_back(concat(dropped, " training images are of patients that val/ has as well; they are left out"));
}

}  // namespace

std::vector<int64_t> Split::of(Part part) const {
  std::vector<int64_t> indices;
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i] == part) indices.push_back(int64_t(i));
  return indices;
}

Split split_by_patient(const Manifest& manifest, const SplitOptions& options) {
  if (!(options.val_fraction > 0 && options.val_fraction < 1))
    fail(ErrorKind::usage, "--val-fraction is ", options.val_fraction, "; a number between 0 and 1 is wanted, such as 0.15");
  Split split;
  std::vector<int64_t> pool;
  int64_t val = 0;
  for (size_t i = 0; i < manifest.entries.size(); ++i) {
    const Part given = manifest.entries[i].part;
    split.parts.push_back(given == Part::all ? Part::train : given);
    val += given == Part::val;
    if (given != Part::test) pool.push_back(int64_t(i));
  }
  if (split.of(Part::train).empty())
    fail(ErrorKind::data, "splitting ", manifest.root.string(),
         " into training and validation: there are no training images; add train/CLASS/ folders");
  if (val >= options.pool_below) {
    keep_given_val(manifest, split);
    split.notes.push_back(concat("validation: the ", val, " images of val/"));
  } else {
    divide(manifest, pool, options, split);
    const size_t validation = split.of(Part::val).size(), training = split.of(Part::train).size();
    const std::string why =
        val > 0 ? concat("val/ has ", val, " images, fewer than ", options.pool_below, ", and is pooled with train/; ") : "";
    split.notes.push_back(
        concat("validation: ", why, validation, " of ", validation + training, " images, divided by patient, seed ", options.seed));
  }
  check_parts(manifest, split, "splitting " + manifest.root.string());
  return split;
}

Split take_fraction(const Manifest& manifest, const Split& whole, double fraction, uint64_t seed) {
  if (!(fraction > 0 && fraction <= 1))
    fail(ErrorKind::usage, "--fraction is ", fraction, "; a number above 0 and up to 1 is wanted, such as 0.5");
  Split split = whole;
  const std::vector<int64_t> training = whole.of(Part::train);
  for (const std::vector<Patient>& members : strata(manifest, training, Purpose::fraction, seed)) {
    const size_t take = std::max<size_t>(nearest_prefix(members, fraction * images_of(members)), 1);
    for (size_t k = take; k < members.size(); ++k)
      for (int64_t i : members[k].images) split.parts[size_t(i)] = Part::unused;
  }
  if (fraction < 1) split.notes.push_back(concat("training: ", split.of(Part::train).size(), " of ", training.size(), " images"));
  check_parts(manifest, split, "taking a part of the training images");
  return split;
}

void leave_out(const Manifest& manifest, Split& split, std::span<const int64_t> indices) {
  for (int64_t i : indices) split.parts.at(size_t(i)) = Part::unused;
  check_parts(manifest, split, concat("leaving out ", indices.size(), " images of ", manifest.root.string()));
}

}  // namespace ptrain
