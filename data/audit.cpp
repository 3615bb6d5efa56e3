#include "data/audit.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <set>

#include "data/file.hpp"
#include "data/image.hpp"
#include "data/parallel.hpp"
#include "data/sha256.hpp"
#include "kernels/error.hpp"

namespace ptrain {
namespace {

constexpr int64_t kRows = 16, kColumns = 17;

double grey(const Image& m, int64_t y, int64_t x) {
  const uint8_t* p = &m.pixels[size_t((y * m.w + x) * m.c)];
  return m.c == 1 ? p[0] : 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

bool name_says_another_type(const std::string& path, ImageType type) {
  std::string end = path.substr(path.find_last_of('.') + 1);
  std::transform(end.begin(), end.end(), end.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  switch (type) {
    case ImageType::jpeg: return end != "jpg" && end != "jpeg";
    case ImageType::png: return end != "png";
    case ImageType::bmp: return end != "bmp";
    case ImageType::gif: return end != "gif";
  }
  return false;
}

// mean, sd, border, dark.
std::array<double, 4> levels(const Image& m) {
  const int64_t edge_y = std::max<int64_t>(1, m.h / 20), edge_x = std::max<int64_t>(1, m.w / 20);
  double sum = 0, squares = 0, border = 0, dark = 0;
  int64_t at_border = 0;
  for (int64_t y = 0; y < m.h; ++y)
    for (int64_t x = 0; x < m.w; ++x) {
      const double v = grey(m, y, x);
      sum += v, squares += v * v, dark += v < 16;
      if (y < edge_y || y >= m.h - edge_y || x < edge_x || x >= m.w - edge_x) border += v, ++at_border;
    }
  const double n = double(m.h * m.w), mean = sum / n;
  return {mean, std::sqrt(std::max(0.0, squares / n - mean * mean)), border / double(at_border), dark / n};
}

FileAudit audit_file(const Manifest& manifest, int64_t index) {
  FileAudit a{.index = index};
  const std::string path = manifest.entries[size_t(index)].path;
  try {
    const std::vector<uint8_t> bytes = read_bytes(manifest.file(index), "checking", ImageLimits{}.file_bytes);
    a.sha256 = sha256_hex(bytes);
    const ImageInfo info = inspect_image(bytes, path);
    a.type = str(info.type), a.mode = info.mode, a.height = info.h, a.width = info.w;
    a.mislabelled = name_says_another_type(path, info.type);
    const Image image = decode_image(bytes, path);
    a.fingerprint = fingerprint(image, &a.contrast);
    const std::array<double, 4> l = levels(image);
    a.features = {double(info.h),
                  double(info.w),
                  double(info.w) / double(info.h),
                  double(bytes.size()) / double(info.h * info.w),
                  l[0],
                  l[1],
                  l[2],
                  l[3]};
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data) throw;
    a.why_bad = e.what();
  }
  return a;
}

}  // namespace

std::bitset<256> fingerprint(const Image& m, double* contrast) {
  double block[kRows][kColumns];
  double sum = 0, squares = 0;
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t c = 0; c < kColumns; ++c) {
      const int64_t y0 = r * m.h / kRows, y1 = std::max(y0 + 1, (r + 1) * m.h / kRows), x0 = c * m.w / kColumns,
                    x1 = std::max(x0 + 1, (c + 1) * m.w / kColumns);
      double total = 0;
      for (int64_t y = y0; y < y1; ++y)
        for (int64_t x = x0; x < x1; ++x) total += grey(m, std::min(y, m.h - 1), std::min(x, m.w - 1));
      block[r][c] = total / double((y1 - y0) * (x1 - x0));
      sum += block[r][c], squares += block[r][c] * block[r][c];
    }
  std::bitset<256> bits;
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t c = 0; c + 1 < kColumns; ++c) bits[size_t(r * (kColumns - 1) + c)] = block[r][c + 1] > block[r][c];
  const double n = kRows * kColumns;
  if (contrast) *contrast = std::sqrt(std::max(0.0, squares / n - (sum / n) * (sum / n)));
  return bits;
}

std::vector<FileAudit> audit_files(const Manifest& manifest, int threads) {
  std::vector<FileAudit> audits(manifest.entries.size());
  parallel_for(threads, int64_t(audits.size()), [&](int64_t i) { audits[size_t(i)] = audit_file(manifest, i); });
  return audits;
}

std::vector<Duplicate> exact_duplicates(const std::vector<FileAudit>& audits) {
  std::map<std::string, int64_t> first;
  std::vector<Duplicate> found;
  for (const FileAudit& a : audits) {
    if (a.sha256.empty()) continue;
    const auto [it, is_new] = first.emplace(a.sha256, a.index);
    if (!is_new) found.push_back({it->second, a.index, 0});
  }
  return found;
}

std::vector<Duplicate> near_duplicates(const std::vector<FileAudit>& audits, int most, int threads) {
  std::vector<const FileAudit*> readable;
  for (const FileAudit& a : audits)
    if (a.why_bad.empty() && a.contrast >= 2) readable.push_back(&a);
  std::vector<Duplicate> found;
  std::mutex mutex;
  parallel_for(threads, int64_t(readable.size()), [&](int64_t i) {
    const FileAudit& a = *readable[size_t(i)];
    for (size_t j = size_t(i) + 1; j < readable.size(); ++j) {
      const FileAudit& b = *readable[j];
      const int distance = int((a.fingerprint ^ b.fingerprint).count());
      if (distance > most || a.sha256 == b.sha256) continue;
      const std::lock_guard lock(mutex);
      found.push_back({a.index, b.index, distance});
    }
  });
  std::sort(found.begin(), found.end(),
            [](const Duplicate& x, const Duplicate& y) { return std::tuple(x.distance, x.a, x.b) < std::tuple(y.distance, y.a, y.b); });
  return found;
}

std::vector<SharedPatient> patients_across(const Manifest& manifest) {
  std::map<std::string, std::set<Part>> parts;
  for (const Entry& e : manifest.entries) parts[e.patient].insert(e.part);
  std::vector<SharedPatient> shared;
  for (const auto& [patient, in] : parts)
    if (in.size() > 1) shared.push_back({patient, {in.begin(), in.end()}});
  return shared;
}

}  // namespace ptrain
