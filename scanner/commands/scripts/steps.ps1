# Written by comfy-inventory. Read it, take out the lines that you do not want, then run it:
#     powershell -ExecutionPolicy Bypass -File THIS-FILE
#
# "Keep SIZE MTIME FILE" names a file that is never touched. The "Try" lines below it name others
# that held the same bytes. Each of them is compared with it byte by byte before anything is done.
# A file is skipped if it is a link or a folder, has other hard links, or has another size or
# modification time (seconds since 1970) than when its content was known. Files that are replaced
# are replaced in one step. The script may be stopped at any time, and run again.

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Type -TypeDefinition @'
using System;
using System.ComponentModel;
using System.IO;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

public sealed class ComfyFacts {
    public long Size, Seconds;
    public string Disk, Id;
    public uint Links;
    public bool Same(ComfyFacts other) {
        return Size == other.Size && Seconds == other.Seconds && Id == other.Id;
    }
}

public static class ComfyFiles {
    [StructLayout(LayoutKind.Sequential)]
    struct Information {
        public uint Attributes;
        public System.Runtime.InteropServices.ComTypes.FILETIME Created, Read, Written;
        public uint Serial, SizeHigh, SizeLow, Links, IndexHigh, IndexLow;
    }
    [DllImport("kernel32.dll", SetLastError = true)]
    static extern bool GetFileInformationByHandle(SafeFileHandle file, out Information found);
    [DllImport("kernel32.dll", SetLastError = true, CharSet = CharSet.Unicode)]
    static extern bool CreateHardLinkW(string name, string existing, IntPtr security);
    [DllImport("kernel32.dll", SetLastError = true, CharSet = CharSet.Unicode)]
    static extern bool MoveFileExW(string from, string to, uint flags);

    static FileStream Open(string path) {
        return new FileStream(path, FileMode.Open, FileAccess.Read,
            FileShare.ReadWrite | FileShare.Delete, 1 << 20);
    }
    public static bool IsPlain(string path) {
        return File.Exists(path)
            && (File.GetAttributes(path) & (FileAttributes.ReparsePoint | FileAttributes.Directory)) == 0;
    }
    public static ComfyFacts Facts(string path) {
        Information found;
        using (FileStream file = Open(path)) {
            if (!GetFileInformationByHandle(file.SafeFileHandle, out found)) throw new Win32Exception();
        }
        long ticks = File.GetLastWriteTimeUtc(path).Ticks - new DateTime(1970, 1, 1).Ticks;
        ComfyFacts facts = new ComfyFacts();
        facts.Size = ((long)found.SizeHigh << 32) | found.SizeLow;
        facts.Seconds = (long)Math.Floor(ticks / (decimal)TimeSpan.TicksPerSecond);
        facts.Disk = found.Serial.ToString();
        facts.Id = found.Serial + ":" + found.IndexHigh + ":" + found.IndexLow;
        facts.Links = found.Links;
        return facts;
    }
    static int Fill(FileStream file, byte[] buffer) {
        int all = 0, read;
        while (all < buffer.Length && (read = file.Read(buffer, all, buffer.Length - all)) > 0) all += read;
        return all;
    }
    public static bool SameContent(string one, string other) {
        byte[] a = new byte[1 << 20], b = new byte[1 << 20];
        using (FileStream first = Open(one)) using (FileStream second = Open(other)) {
            while (true) {
                int count = Fill(first, a);
                if (count != Fill(second, b)) return false;
                if (count == 0) return true;
                for (int i = 0; i < count; i++) if (a[i] != b[i]) return false;
            }
        }
    }
    public static void Link(string name, string existing) {
        if (!CreateHardLinkW(name, existing, IntPtr.Zero)) throw new Win32Exception();
    }
    public static void Replace(string from, string to) {
        if (!MoveFileExW(from, to, 1)) throw new Win32Exception();
    }
}
'@

$script:Kept = $null; $script:KeptFacts = $null; $script:KeptTrouble = ''
$script:Number = 0; $script:Finished = 0; $script:Skipped = 0; $script:Failed = 0; [long]$script:Bytes = 0

function Say($word, $file, $reason) {
    $line = $word + ': ' + ($file -replace '\p{C}', '?')
    if ($reason) { $line += ' (' + $reason + ')' }
    Write-Output $line
}
function Skip($file, $reason) { $script:Skipped++; Say 'skipped' $file $reason }

function Test-There($file) { [IO.File]::Exists($file) -or [IO.Directory]::Exists($file) }

function Keep([long]$size, [long]$seconds, [string]$file) {
    $script:Kept = $file; $script:KeptFacts = $null; $script:KeptTrouble = ''
    try {
        if (-not (Test-There $file)) { $script:KeptTrouble = 'the kept file is not there' }
        elseif (-not [ComfyFiles]::IsPlain($file)) {
            $script:KeptTrouble = 'the kept file is a link or a folder now'
        } else {
            $script:KeptFacts = [ComfyFiles]::Facts($file)
            if ($script:KeptFacts.Size -ne $size -or $script:KeptFacts.Seconds -ne $seconds) {
                $script:KeptTrouble = 'the kept file has changed'
            }
        }
    } catch { $script:KeptTrouble = 'the kept file cannot be looked at' }
}

# The reason to leave a file alone; nothing if it is what it was and equals the kept file.
function Get-Objection([long]$size, [long]$seconds, [string]$file, [bool]$sameDisk) {
    if ($script:KeptTrouble) { return $script:KeptTrouble }
    if (-not (Test-There $file)) { return 'it is not there' }
    if (-not [ComfyFiles]::IsPlain($file)) { return 'it is a link or a folder now' }
    $found = [ComfyFiles]::Facts($file)
    if ($found.Id -eq $script:KeptFacts.Id) { return 'it is the kept file already' }
    if ($found.Size -ne $size -or $found.Seconds -ne $seconds) { return 'it has changed' }
    if ($found.Links -ne 1) { return 'it has other hard links' }
    if ($sameDisk -and $found.Disk -ne $script:KeptFacts.Disk) { return 'it is on another file system' }
    if (-not [ComfyFiles]::SameContent($script:Kept, $file)) { return 'its content differs' }
    if (-not $found.Same([ComfyFiles]::Facts($file)) -or
        -not $script:KeptFacts.Same([ComfyFiles]::Facts($script:Kept))) {
        return 'it or the kept file changed meanwhile'
    }
}

function Get-Temporary($file) {
    $script:Number++
    $name = '.comfy-inventory-' + $PID + '-' + $script:Number + '.tmp'
    $path = [IO.Path]::Combine([IO.Path]::GetDirectoryName($file), $name)
    if (Test-There $path) { throw 'the name for its replacement is taken' }
    return $path
}

function Invoke-Step([long]$size, [long]$seconds, [string]$file, [bool]$sameDisk, [string]$past, $step) {
    try {
        $objection = Get-Objection $size $seconds $file $sameDisk
        if (-not $objection) { $objection = & $step $file }
        if ($objection) { Skip $file $objection; return }
        $script:Finished++; $script:Bytes += $size
        Say $past $file ''
    } catch {
        $script:Failed++
        Say 'FAILED' $file $_.Exception.Message
    }
}

# The name leads to the kept file's bytes, and gets its times.
function Try-Link([long]$size, [long]$seconds, [string]$file) {
    Invoke-Step $size $seconds $file $true 'linked' {
        param($file)
        $temporary = Get-Temporary $file
        [ComfyFiles]::Link($temporary, $script:Kept)
        try { [ComfyFiles]::Replace($temporary, $file) }
        catch { [IO.File]::Delete($temporary); throw }
    }
}

# Out of the way first, and gone only when the kept file is seen to be another.
function Try-Delete([long]$size, [long]$seconds, [string]$file) {
    Invoke-Step $size $seconds $file $false 'deleted' {
        param($file)
        $temporary = Get-Temporary $file
        [IO.File]::Move($file, $temporary)
        try {
            $beside = [IO.Path]::Combine(
                [IO.Path]::GetDirectoryName($script:Kept), [IO.Path]::GetFileName($temporary))
            $isOneFolder = [IO.Path]::GetDirectoryName($script:Kept) -ne [IO.Path]::GetDirectoryName($file) -and
                (Test-There $beside)
            if ($isOneFolder) { return 'its folder is the kept one under another path' }
            if (-not [ComfyFiles]::IsPlain($script:Kept) -or
                -not $script:KeptFacts.Same([ComfyFiles]::Facts($script:Kept))) {
                return 'the kept file is gone with it'
            }
            [IO.File]::Delete($temporary)
        } finally {
            if ((Test-There $temporary) -and -not (Test-There $file)) { [IO.File]::Move($temporary, $file) }
        }
    }
}

function Finish {
    Write-Output ('{0} done ({1} bytes freed), {2} skipped, {3} failed.' -f
        $script:Finished, $script:Bytes, $script:Skipped, $script:Failed)
    if ($script:Failed) { exit 1 }
    exit 0
}
